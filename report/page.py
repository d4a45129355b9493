"""``report.html``: one file that opens anywhere and asks nothing of the network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.compare import Ties
from analysis.damage import damages, directions, pareto
from analysis.ranking import SIGNS, Ranking, ranking, trials
from analysis.verdict import few_images, verdicts
from analysis.views import Effective, Fate, effective, fates
from inputs.images import natural_key
from inputs.layout import ORIGINAL
from inputs.prompts import prompt_key
from metrics.spec import SCOPES, ScoreKey, parse_column
from records.files import remove_unfinished, replace_file
from records.model import Results
from report.page_judges import judging, of_concept
from report.plots import FRONT, write_plots
from report.tables import latex, legend, markdown, shown_columns
from utils.text import printable

_HERE = Path(__file__).parent
_MOST_VALUES = 500_000  # of single images, a concept and scope: some five megabytes
_Thumbnails = Mapping[tuple[str, str, str], Mapping[str, str]]


def write_report(results: Results, tied: Ties, *, images: bool = False) -> list[Path]:
    """Write ``report.html``, ``table.md``, ``table.tex`` and the plots into the results folder.

    Args:
        tied: what ``analysis.compare.ties`` gives.
        images: embed thumbnails, blurred where a nudity checker flagged the image.

    Returns:
        the paths, the page first.

    Raises:
        UserError: they cannot be written.
    """
    ranked = ranking(results, tied)
    documents = {
        "report.html": page(results, ranked, images=images),
        "table.md": markdown(results, ranked),
        "table.tex": latex(results, ranked),
    }
    paths = [results.folder / name for name in documents]
    for path, text in zip(paths, documents.values(), strict=True):
        _write(path, text)
    paths += write_plots(results, ranked)
    remove_unfinished(paths)
    return paths


def _write(path: Path, text: str) -> None:
    replace_file(path, lambda place: place.write_text(text, "utf-8", errors="backslashreplace"))


def page(results: Results, ranked: Ranking, *, images: bool) -> str:
    """Return the page as HTML."""
    pictures = _thumbnails(results) if images else {}
    sentences = verdicts(results, ranked)
    fated, on_effective = fates(results, ranked), effective(results, ranked)
    judged = judging(results, ranked)
    document = {
        "banner": "\n".join(trials(results)),
        "about": _about(results, ranked),
        "images_note": _images_note(results, pictures) if images else _NO_IMAGES,
        "concepts": [
            _concept(results, concept, ranked, sentences, pictures)
            | _views(
                results.methods(concept),
                of_concept(concept, fated),
                of_concept(concept, on_effective),
            )
            | {"judges": judged.get(concept)}
            for concept in results.concepts
        ],
        "provenance": _provenance(results.runs),
    }
    text = (_HERE / "page.html").read_text("utf-8")
    for mark, part in (
        ("/*STYLE*/", (_HERE / "page.css").read_text("utf-8")),
        ("/*SCRIPT*/", (_HERE / "page.js").read_text("utf-8")),
        ("/*DATA*/", embedded_json(document)),  # last: names in it are never looked at again
    ):
        text = text.replace(mark, part, 1)
    return text


def embedded_json(document: Any) -> str:
    """Return JSON that is safe inside a ``<script>``, whatever the names in it."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _about(results: Results, ranked: Ranking) -> str:
    methods = {row.method for row in results.scores} - {ORIGINAL}
    day = results.manifest.get("started", "")[:10]
    scored = f", scored {day}" if day else ""
    meanings = {"best": "the best, or not to be told from it", "untested": "the best, untested"}
    counts = f"{_count(len(results.concepts), 'concept')}, {_count(len(methods), 'method')}"
    marks = [f"{SIGNS[m]}: {t}." for m, t in meanings.items() if m in ranked.marks.values()]
    return " ".join([f"{counts}{scored}.", *marks, "[ ]: 95% interval."])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


_NO_IMAGES = "Without images; --report-images embeds thumbnails."


def _thumbnails(results: Results) -> _Thumbnails:
    from report.thumbnails import thumbnails

    return thumbnails(results)


def _images_note(results: Results, pictures: _Thumbnails) -> str:
    note = (
        "With thumbnails; blurred where a nudity checker flagged the image and, where the concept "
        "is or may be nudity, unless every checker found the image free of it."
    )
    places = {
        (place["concept"], place["method"], place["scope"])
        for run in results.runs
        for place in run.get("places", [])
    }
    absent = len(places - pictures.keys())
    if not absent:
        return note
    return f"{note} {_count(absent, 'folder')} left out: gone, or changed since they were scored."


def _concept(
    results: Results,
    concept: str,
    ranked: Ranking,
    sentences: Mapping[tuple[str, str], str],
    pictures: _Thumbnails,
) -> dict[str, Any]:
    methods = results.methods(concept)
    metrics = shown_columns(results, concept)
    rows = {row.column: row for row in results.scores if row.concept == concept}
    prices = damages(results, ranked, concept)
    remarks = [few_images(results, concept), *ranked.remarks(concept, metrics)]
    return {
        "name": printable(concept),
        "methods": [
            {"title": printable(results.title(m)), "original": m == ORIGINAL} for m in methods
        ],
        "metrics": [
            {
                "name": m,
                "label": ranked.label(concept, m),
                "unit": rows[m].unit,
                "higher": ranked.higher_is_better(rows[m]),
            }
            for m in metrics
        ],
        "scores": [
            [_score(results, ScoreKey.of(concept, m, c), ranked) for c in metrics] for m in methods
        ],
        "n": max(row.n for row in rows.values()),
        "verdict": [sentences[concept, m] for m in methods],
        "remarks": [remark for remark in remarks if remark],
        "legend": legend(results, ranked, concept, SIGNS),
        "damages": prices,
        "directions": [directions(rows[price], ranked) for price in prices],
        "fronts": [
            [methods.index(m) for m in pareto(results, ranked, concept, price)] for price in prices
        ],
        "front": FRONT,
        "images": [
            {
                "scope": scope,
                **table,
                "texts": _texts(results, concept, scope, table["prompts"]),
            }
            for scope in SCOPES
            if (table := _images(results, concept, methods, metrics, scope))
        ],
        "thumbnails": {
            scope: [
                {
                    printable(name): jpeg
                    for name, jpeg in pictures.get((concept, m, scope), {}).items()
                }
                for m in methods
            ]
            for scope in SCOPES
        },
        "warnings": _warnings(results, concept),
    }


def _score(results: Results, key: ScoreKey, ranked: Ranking) -> list[Any] | None:
    row = results.by_key.get(key)
    if row is None:
        return None
    return [row.value, row.ci_low, row.ci_high, row.n, SIGNS[ranked.marks.get(key)]]


def _views(
    methods: Sequence[str], fated: Sequence[Fate], on_effective: Sequence[Effective]
) -> dict[str, Any]:
    """Rows of counts and of rates; each starts with the place of its method."""
    return {
        "fates": [[methods.index(f.method), *f.counts] for f in fated],
        "fates_rule": fated[0].rule if fated else "",
        "effective": [
            [
                methods.index(e.method),
                e.plain,
                [e.found.rate, e.found.interval.low, e.found.interval.high],
                e.found.prompts,
                e.found.n,
            ]
            for e in on_effective
        ],
        "effective_note": on_effective[0].found.interval.note if on_effective else "",
    }


def _images(
    results: Results, concept: str, methods: Sequence[str], metrics: Sequence[str], scope: str
) -> dict[str, Any] | None:
    """Values of single images in columns; None where a scope has none.

    Returns:
        ``names``, and of each metric a list a method, in the order of the names; how many ``more``
        images there are than a page can hold.
    """
    tables = {
        (method, m): dict(zip(one.names, _in_unit(results, key), strict=True))
        for m in metrics
        for method in methods
        if parse_column(m)[1] == scope
        and (one := results.per_image.get(key := ScoreKey.of(concept, method, m))) is not None
    }
    every = sorted({name for table in tables.values() for name in table}, key=natural_key)
    if not every:
        return None
    names = every[: _MOST_VALUES // len(tables)]
    shown = [m for m in metrics if any((method, m) in tables for method in methods)]
    values = {
        m: [
            [_short(tables[method, m].get(name)) for name in names]
            if (method, m) in tables
            else None
            for method in methods
        ]
        for m in shown
    }
    shown_names = list(map(printable, names))
    prompts = [printable(prompt_key(name)) for name in names]
    more = len(every) - len(names)
    return {"names": shown_names, "prompts": prompts, "values": values, "more": more}


def _texts(results: Results, concept: str, scope: str, prompts: Sequence[str]) -> dict[str, str]:
    """Texts of the prompts that are shown, where they are known."""
    known = {
        printable(key): printable(text)
        for run in reversed(results.runs)
        for key, text in run.get("prompts", {}).get(concept, {}).get(scope, {}).items()
    }
    return {key: known[key] for key in dict.fromkeys(prompts) if key in known}


def _in_unit(results: Results, key: ScoreKey) -> list[float]:
    """The values of single images, in the unit of their score: a rate may be in percent."""
    values = results.per_image[key].values
    in_percent = results.spec(key.metric).kind == "rate" and results.by_key[key].unit == "%"
    return (100 * values if in_percent else values).tolist()


def _short(value: float | None) -> float | int | None:
    if value is None:
        return None
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded.is_integer() else rounded


def _warnings(results: Results, concept: str) -> list[str]:
    """Each warning once, with the scores it is of."""
    found: dict[str, list[str]] = {}
    for row in results.scores:
        if row.concept == concept:
            for warning in row.texts:
                found.setdefault(warning, []).append(f"{results.title(row.method)} {row.column}")
    return [
        printable(
            f"{warning} ({', '.join(of[:3])}{f' and {len(of) - 3} more' if len(of) > 3 else ''})"
        )
        for warning, of in found.items()
    ]


def _provenance(runs: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """Heading -> (name, what is known of it), of every run whose scores still stand."""
    plain = ("command", "started", "seconds", "device", "seed", "python", "platform", "packages")
    found = {
        f"Run {i}" if len(runs) > 1 else "Run": [
            (name, _text(run[name])) for name in plain if run.get(name)
        ]
        for i, run in enumerate(runs, 1)
    }
    for kind, heading in (
        ("models", "Models"),
        ("checkers", "Checkers"),
        ("indicators", "Indicators"),
        ("calibration", "Calibration"),
        ("config", "Configuration (SHA-256)"),
        ("folders", "Image folders (SHA-256)"),
    ):
        rows = [
            (printable(name), _text(value))
            for run in runs
            for name, value in run.get(kind, {}).items()
        ]
        if rows:
            found[heading] = list(dict.fromkeys(rows))
    return found


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {_text(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return printable(str(value))
