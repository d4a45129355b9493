"""Results folders made by hand, for tests of what is made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.compare import ties
from analysis.ranking import Ranking, ranking
from metrics import specs
from metrics.base import ScoreWarning
from metrics.spec import parse_column
from records.files import CHANGED, seal, write_json
from records.model import Results
from records.store import read_results
from report.page import write_report

HIGHER = {"presence_rate": False, "fid": False, "kid": False, "lpips": False, "yolo_person": True}
HIGHER |= {"clip_score": True, "csdr": False, "clip_score_reference": None}


@dataclass
class Made:
    """What a results folder is to hold; ``write`` makes it."""

    scores: dict[tuple[str, str, str], tuple] = field(default_factory=dict)
    images: dict[tuple[str, str, str], Mapping[str, float]] = field(default_factory=dict)
    resamples: dict[tuple[str, str, str], Mapping[int, float]] = field(default_factory=dict)
    manifest: dict = field(default_factory=dict)

    def add(self, key, values: Mapping[str, float], interval=(None, None), warnings="") -> Made:
        """Add a mean over images."""
        mean = float(np.mean(list(values.values())))
        self.scores[key] = (mean, *interval, len(values), warnings)
        self.images[key] = values
        return self

    def add_set(self, key, value: float, resamples: Mapping[int, float], n: int = 100) -> Made:
        """Add a score of a whole set."""
        self.scores[key] = (value, value - 1, value + 1, n, "")
        self.resamples[key] = resamples
        return self

    def write(self, folder: Path) -> Results:
        """Write the folder and read it back."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            dict(zip(("concept", "method", "metric"), key, strict=True))
            | dict(zip(("value", "ci_low", "ci_high"), numbers, strict=True))
            | {
                "n": n,
                "unit": "",
                "higher_is_better": HIGHER.get(parse_column(key[2])[0]),
                "warnings": [asdict(ScoreWarning(warnings.split(":")[0], warnings))]
                if warnings
                else [],
                "stale": warnings == CHANGED,
            }
            for key, (*numbers, n, warnings) in self.scores.items()
        ]
        (folder / "scores.json").write_text(json.dumps({"scores": rows}))
        _parquet(folder / "images.parquet", "image", self.images)
        _parquet(folder / "resamples.parquet", "block", self.resamples)
        document = {
            "folder": str(folder),
            "packages": {},
            "earlier": [],
            "metrics": [asdict(spec) for spec in specs()],
            "scores": [list(key) for key in self.scores],
            "places": list(self._places().values()),
            **self.manifest,
        }
        names = ("scores.json", "images.parquet", "resamples.parquet")
        sealed = seal(document, {name: folder / name for name in names})
        write_json(folder / "manifest.json", sealed)
        return read_results(folder)

    def _places(self) -> dict[tuple, dict]:
        """Folders that hold as many images as the scores are of."""
        places: dict[tuple, dict] = {}
        for (concept, method, column), (*_, n, _) in self.scores.items():
            scope = parse_column(column)[1]
            one = place(concept, method, method, scope, images=0)
            one = places.setdefault((concept, method, scope), one)
            one["images"] = one["distinct"] = max(one["images"], n)
        return places


def _parquet(path: Path, inner: str, tables: Mapping[tuple, Mapping]) -> None:
    rows = [(*key, name, value) for key, table in tables.items() for name, value in table.items()]
    names = ("concept", "method", "metric", inner, "value")
    pq.write_table(
        pa.table(
            dict(zip(names, zip(*rows, strict=True), strict=True))
            if rows
            else {n: [] for n in names}
        ),
        path,
    )


def names(prompts: int, samples: int = 1) -> list[str]:
    """File names of so many prompts and samples."""
    return [f"0_{j}_{k}.png" for j in range(prompts) for k in range(samples)]


def drawn(rng: np.random.Generator, of: Sequence[str], kind: str = "mean") -> dict[str, float]:
    """Random values of images: a rate of 0.3, or normal with half the variance between prompts."""
    if kind == "rate":
        return {
            name: float(value) for name, value in zip(of, rng.random(len(of)) < 0.3, strict=True)
        }
    shared = {name.rsplit("_", 1)[0]: rng.normal() for name in of}
    return {name: float(shared[name.rsplit("_", 1)[0]] + rng.normal()) for name in of}


def ranked(results: Results) -> Ranking:
    """The ranking of results, with the ties that are among them."""
    return ranking(results, ties(results))


def place(concept: str, method: str, folder: str, scope: str = "forgot", images: int = 5) -> dict:
    """What a manifest says of images; the method is empty of a reference."""
    return {
        "concept": concept,
        "method": method,
        "scope": scope,
        "folder": folder,
        "images": images,
        "unreadable": 0,
        "distinct": images,
    }


def reported(results: Results, *, images: bool = False) -> list[Path]:
    """Write the whole report; the page is the first of its files."""
    return write_report(results, ties(results), images=images)


def gone(tmp_path: Path, **rates: float) -> Results:
    """Presence and people of 60 prompts, by method: of ORG in all images."""
    made = Made()
    for method, share in {"ORG": 1.0, **rates}.items():
        values = {name: float(i < 60 * share) for i, name in enumerate(names(60))}
        for metric in ("presence_rate", "yolo_person"):
            made.add(("church", method, metric), values, (share / 2, share))
        made.add_set(("church", method, "fid"), 21.23, {}, 60)
    return made.write(tmp_path)


def _warnings(text: str) -> list[dict]:
    """One warning, whose code is what comes before a colon."""
    return [asdict(ScoreWarning(text.split(":")[0], text))] if text else []
