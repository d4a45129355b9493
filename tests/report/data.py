"""Results folders made by hand, for tests of what is made of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np

from analysis.compare import ties
from analysis.ranking import Ranking, ranking
from metrics import ASPECTS, specs
from metrics.base import ScoreWarning
from metrics.spec import ScoreKey, parse_column
from records.merge import CHANGED
from records.model import PerImage, Results, RunRecord, ScoreRow
from records.store import MANIFEST, read_results, write_run
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
        """Write the folder anew, as of one run; ``earlier`` in the manifest is of those before."""
        if (folder / MANIFEST).exists():
            (folder / MANIFEST).unlink()
            shutil.rmtree(folder / "runs")
            for path in folder.glob("*.json"):
                path.unlink()
            (folder / "scores.csv").unlink()
        about = {
            "folder": str(folder),
            "packages": {},
            "metrics": [asdict(spec) for spec in specs()],
            "with_reference": [name for name in ASPECTS if ASPECTS[name].uses_reference],
        }
        places = {"places": list(self._places().values())}
        record = RunRecord(
            f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}",
            (),
            about | places | {k: v for k, v in self.manifest.items() if k != "earlier"},
            tuple(_row(ScoreKey.of(*key), *said) for key, said in self.scores.items()),
            {
                ScoreKey.of(*key): PerImage(list(values), np.array(list(values.values()), float))
                for key, values in self.images.items()
            },
            {ScoreKey.of(*key): values for key, values in self.resamples.items()},
            {},
        )
        write_run(folder, record)
        results = read_results(folder)
        earlier = [
            RunRecord(str(i), (), about | said, (), {}, {}, {})
            for i, said in enumerate(self.manifest.get("earlier", []))
        ]
        theirs = {
            ScoreKey.of(*key): one.manifest
            for one in earlier
            for key in one.manifest.get("scores", [])
        }
        records = (*results.records, *reversed(earlier))
        return replace(results, records=records, run_of={**results.run_of, **theirs})

    def _places(self) -> dict[tuple, dict]:
        """Folders that hold as many images as the scores are of."""
        places: dict[tuple, dict] = {}
        for (concept, method, column), (*_, n, _) in self.scores.items():
            scope = parse_column(column)[1]
            one = place(concept, method, method, scope, images=0)
            one = places.setdefault((concept, method, scope), one)
            one["images"] = one["distinct"] = max(one["images"], n)
        return places


def _row(key: ScoreKey, value, low, high, n, warning) -> ScoreRow:
    code = warning.split(":")[0]
    warnings = {"": (), CHANGED.text: (CHANGED,)}.get(warning, (ScoreWarning(code, warning),))
    direction = HIGHER.get(key.metric)
    stale = warning == CHANGED.text
    return ScoreRow(*key, value, low, high, n, "", direction, warnings, stale)


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
