"""``report.html``: one file that opens anywhere and asks nothing of the network."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.layout import ORIGINAL
from report.compare import ties
from report.plots import damages, write_plots
from report.results import Key, Results
from report.tables import latex, legend, markdown, number, shown_metrics
from report.views import effective, fates
from utils.prompts import prompt_key
from utils.results import replace_file

_HERE = Path(__file__).parent
_EDGE = 96  # pixels of a thumbnail
_BLUR = 8  # radius in pixels: of a face of a thumbnail nothing is left


def write_report(results: Results, *, images: bool = False) -> list[Path]:
    """Write ``report.html``, ``table.md``, ``table.tex`` and the plots into the results folder.

    Args:
        images: embed thumbnails, blurred where a nudity checker flagged the image.

    Returns:
        the paths, the page first.

    Raises:
        UserError: they cannot be written.
    """
    tied = ties(results)
    documents = {
        "report.html": page(results, tied, images=images),
        "table.md": markdown(results, tied),
        "table.tex": latex(results, tied),
    }
    paths = [results.folder / name for name in documents]
    for path, text in zip(paths, documents.values(), strict=True):
        _write(path, text)
    return paths + write_plots(results)


def _write(path: Path, text: str) -> None:
    replace_file(path, lambda place: place.write_text(text, "utf-8", errors="backslashreplace"))


def page(results: Results, tied: set[Key], *, images: bool) -> str:
    """Return the page as HTML."""
    document = {
        "about": _about(results),
        "images_note": (
            "Thumbnails are embedded; those of images that a nudity checker flagged are blurred."
            if images
            else "Without images; --report-images embeds thumbnails."
        ),
        "concepts": [_concept(results, concept, tied, images) for concept in results.concepts],
        "provenance": _provenance(results.manifest),
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


def _about(results: Results) -> str:
    methods = {row.method for row in results.scores} - {ORIGINAL}
    day = results.manifest.get("started", "")[:10]
    return (
        f"{_count(len(results.concepts), 'concept')}, {_count(len(methods), 'method')}, scored "
        f"{day}. ★: the best, or not to be told from it."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _concept(results: Results, concept: str, tied: set[Key], images: bool) -> dict[str, Any]:
    methods = results.methods(concept)
    metrics = shown_metrics(results, concept)
    rows = {row.metric: row for row in results.scores if row.concept == concept}
    fate = {one.method: one for one in fates(results) if one.concept == concept}
    on_effective = {one.method: one for one in effective(results) if one.concept == concept}
    return {
        "name": concept,
        "methods": [{"title": results.title(m), "original": m == ORIGINAL} for m in methods],
        "metrics": [
            {"name": m, "unit": rows[m].unit, "higher": rows[m].higher_is_better} for m in metrics
        ],
        "scores": [
            [_score(results, (concept, m, metric), tied) for metric in metrics] for m in methods
        ],
        "verdict": [verdict(results, concept, m, tied) for m in methods],
        "legend": "★ " + legend(results, concept),
        "damages": damages(results, concept),
        "fates": [
            {
                "title": results.title(method),
                **{kind: getattr(one, kind) for kind in ("present", "kept", "broken", "n")},
                "effective": _effective(on_effective.get(method)),
            }
            for method, one in fate.items()
        ],
        "fates_rule": next((f"{one.rule[0].upper()}{one.rule[1:]}." for one in fate.values()), ""),
        "images": _images(results, concept, methods, metrics),
        "texts": {},
        "thumbnails": [_thumbnails(results, concept, m) if images else {} for m in methods],
        "warnings": _warnings(results, concept),
    }


def _score(results: Results, key: Key, tied: set[Key]) -> list[Any] | None:
    row = results.by_key.get(key)
    if row is None:
        return None
    return [row.value, row.ci_low, row.ci_high, row.n, int(key in tied)]


def verdict(results: Results, concept: str, method: str, tied: set[Key]) -> str:
    """Return a sentence about a method: is the concept gone, and what else changed."""
    parts = []
    gone = results.by_key.get((concept, method, "presence_rate"))
    if gone and gone.value is not None:
        among = " ★" if gone.key in tied else ""
        interval = f"{100 * gone.ci_low:.0f} to {100 * gone.ci_high:.0f}"
        parts.append(
            f"still present in {100 * gone.value:.0f}% of {gone.n} images [{interval}]{among}"
        )
    for metric in damages(results, concept)[:3] if gone else shown_metrics(results, concept)[:3]:
        row = results.by_key.get((concept, method, metric))
        if row and row.value is not None:
            among = " ★" if row.key in tied else ""
            parts.append(f"{metric} {number(row.value)}{f' {row.unit}' if row.unit else ''}{among}")
    few = " Few images: read the intervals, not the numbers." if gone and gone.n < 50 else ""
    return f"{results.title(method)}: {', '.join(parts) or 'nothing was scored'}.{few}"


def _effective(one: Any) -> str:
    if one is None:
        return "–"
    return f"{100 * one.rate:.0f}% [{100 * one.ci_low:.0f} to {100 * one.ci_high:.0f}], n = {one.n}"


def _images(
    results: Results, concept: str, methods: Sequence[str], metrics: Sequence[str]
) -> list[dict[str, Any]]:
    """Values of single images in columns, apart for images of the concept and unrelated ones."""
    found = []
    for unrelated in (False, True):
        mine = [
            m
            for m in metrics
            if m.endswith("_object") == unrelated
            and any((concept, method, m) in results.per_image for method in methods)
        ]
        tables = {
            (method, m): dict(zip(one.names, one.values.tolist(), strict=True))
            for m in mine
            for method in methods
            if (one := results.per_image.get((concept, method, m))) is not None
        }
        names = sorted({name for table in tables.values() for name in table})
        if not names:
            continue
        values = {
            m: [
                [_short(tables[method, m].get(name)) for name in names]
                if (method, m) in tables
                else None
                for method in methods
            ]
            for m in mine
        }
        prompts = [prompt_key(name) for name in names]
        found.append({"names": names, "prompts": prompts, "values": values})
    return found


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
            for warning in row.warnings:
                found.setdefault(warning, []).append(f"{results.title(row.method)} {row.metric}")
    return [
        f"{warning} ({', '.join(of[:3])}{f' and {len(of) - 3} more' if len(of) > 3 else ''})"
        for warning, of in found.items()
    ]


def _provenance(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    runs = [manifest, *manifest.get("earlier", [])]
    rows = [("command", " ".join(map(str, run.get("command", [])))) for run in runs]
    plain = ("started", "seconds", "device", "python", "platform")
    rows += [(name, str(manifest.get(name))) for name in plain]
    packages = manifest.get("packages", {})
    rows.append(("packages", ", ".join(f"{name} {version}" for name, version in packages.items())))
    for run in runs:
        for kind in ("models", "checkers", "config", "folders"):
            for name, value in run.get(kind, {}).items():
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                rows.append((f"{kind}: {name}", text))
    return list(dict.fromkeys(rows))


def _thumbnails(results: Results, concept: str, method: str) -> dict[str, str]:
    """JPEGs in base64 by image name, of what can be found."""
    names: dict[str, bool] = {}  # -> flagged by a nudity checker
    for (its_concept, its_method, metric), one in results.per_image.items():
        if (its_concept, its_method) != (concept, method):
            continue
        judged = metric.startswith("presence_rate") and _is_nudity(concept)
        for name, value in zip(one.names, one.values, strict=True):
            names[name] = names.get(name, False) or bool(judged and value > 0)
    folders = [
        Path(run.get("folder", ""), place["folder"])
        for run in (results.manifest, *results.manifest.get("earlier", []))
        for place in run.get("places", [])
        if (place["concept"], place["method"]) == (concept, method)
    ]
    found = {}
    for name, flagged in names.items():
        file = next((f / name for f in folders if (f / name).is_file()), None)
        # Where nudity was not judged at all, nothing of that concept is shown sharp.
        if file is not None:
            found[name] = thumbnail(file, blurred=flagged or _unjudged(results, concept))
    return found


def _is_nudity(concept: str) -> bool:
    return "nud" in concept.casefold()


def _unjudged(results: Results, concept: str) -> bool:
    return _is_nudity(concept) and not any(
        key[0] == concept and key[2].startswith("presence_rate") for key in results.per_image
    )


def thumbnail(file: Path, *, blurred: bool) -> str:
    """Return a small JPEG in base64, its pixels themselves blurred where that is asked for."""
    from PIL import ImageFilter

    from utils.images import decode, read

    picture = decode(read(file)).rgb.copy()
    picture.thumbnail((_EDGE, _EDGE))
    if blurred:
        picture = picture.filter(ImageFilter.GaussianBlur(_BLUR))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=70)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
