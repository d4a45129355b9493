"""From the records of several runs to the scores that stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from inputs.prompts import ImageName
from metrics.base import ScoreWarning
from metrics.spec import ScoreKey
from records.model import PerImage, Results, RunRecord, ScoreRow

# Of a kept score when a later run found other images in its method's folder, or its reference's.
CHANGED = ScoreWarning("images_changed", "of images that have changed since")


def merge(folder: Path, records: Sequence[RunRecord], files: Sequence[Path] = ()) -> Results:
    """Return what stands after several runs; nothing is read or written.

    A run's scores replace all earlier ones of their aspect, for their concept, scope and method.
    The others stay, with a warning once their images are others.

    Args:
        records: one at least, in the order of the runs.
        files: see ``Results``.
    """
    standing: dict[ScoreKey, tuple[ScoreRow, RunRecord]] = {}
    for record in records:
        scored = {_scored(row, record) for row in record.scores}
        keys = {row.key for row in record.scores}
        standing = {
            key: (_marked(row, run, record), run)
            for key, (row, run) in standing.items()
            if key not in keys and _scored(row, run) not in scored
        }
        standing |= {row.key: (row, record) for row in record.scores}
    sound = {key: run for key, (row, run) in standing.items() if not row.stale}
    kept = [run.id for _, run in standing.values()]
    return Results(
        folder,
        [row for row, _ in standing.values()],
        {
            key: PerImage(_named(key, run, run.per_image[key].names), run.per_image[key].values)
            for key, run in sound.items()
            if key in run.per_image
        },
        {key: run.resamples[key] for key, run in sound.items() if key in run.resamples},
        {
            key: replace(run.judged[key], names=_named(key, run, run.judged[key].names))
            for key, run in sound.items()
            if key in run.judged
        },
        (records[-1], *(run for run in reversed(records[:-1]) if run.id in kept)),
        {key: run.manifest for key, (_, run) in standing.items()},
        tuple(files),
    )


def _scored(row: ScoreRow, run: RunRecord) -> tuple[str, str, str, str | None]:
    """What is scored as a whole: all of an aspect, as it may give other metrics the next time."""
    return row.concept, row.scope, row.method, run.aspect(row.metric)


def _marked(row: ScoreRow, run: RunRecord, later: RunRecord) -> ScoreRow:
    """The row; one of images, or compared with a reference, that are others now says so."""
    places = [(row.concept, row.method, row.scope)]
    if run.aspect(row.metric) in run.manifest["with_reference"]:
        places.append((row.concept, "", row.scope))
    then, now = run.digests, later.digests
    same = all(place not in now or then.get(place, now[place]) == now[place] for place in places)
    if same or row.stale:
        return row
    return replace(row, stale=True, warnings=(*row.warnings, CHANGED))


def _named(key: ScoreKey, run: RunRecord, names: Sequence[str]) -> list[str]:
    """Names that know their prompts, where these are not in the names themselves."""
    prompts: Mapping[str, str] = (
        run.manifest.get("groups", {}).get(key.concept, {}).get(key.scope, {})
    )
    return [ImageName(name, prompts[name]) if name in prompts else name for name in names]
