"""The published scripts' JSON files, with their names and nesting."""

from __future__ import annotations

from typing import Any

from metrics.spec import ScoreKey
from records.model import Results, ScoreRow

# Metric -> name of the file with its value by concept and method.
_VALUES = {"presence_rate": "accuracy", "fid": "FID", "yolo_person": "YOLO"}
# Published names of the lists in CSDR.json.
_CSDR_LISTS = {
    "clipscore_diff": "csdr",
    "clipscore_diff_signed": "csdr_signed",
    "clipscore": "clip_score",
    "clipscore_org": "clip_score_reference",
}
# All names that there may be.
FILES = tuple(
    f"{name}.json"
    for key in (*_VALUES.values(), "LPIPS", "CSDR")
    for one in (key, f"{key}_object")
    for name in ((one, f"{one}_avg") if key in ("LPIPS", "CSDR") else (one,))
)
_Files = dict[str, dict[str, Any]]


def published_json(results: Results) -> _Files:
    """Return the published files by name.

    They have no place for a warning: scores of images that have changed since are left out.
    """
    files: _Files = {}
    for row in results.scores:
        if row.stale:
            continue
        suffix, where = "" if row.scope == "forgot" else "_object", (row.concept, row.method)
        if key := _VALUES.get(row.metric):
            _put(files, f"{key}{suffix}.json", row.value, key, *where)
        elif row.metric == "lpips":
            _put_lpips(files, results, row, suffix)
        elif row.metric == "csdr":
            _put(files, f"CSDR{suffix}_avg.json", row.value, *where)
            keys = {name: row.key._replace(metric=of) for name, of in _CSDR_LISTS.items()}
            images = list(_values(results, keys["clipscore"]))
            for name, of in keys.items():
                single = _values(results, of)
                values = [single.get(image) for image in images]
                _put(files, f"CSDR{suffix}.json", values, *where, name)
    return files


def _values(results: Results, key: ScoreKey) -> dict[str, float]:
    return results.values(key.concept, key.method, key.column)


def _put_lpips(files: _Files, results: Results, row: ScoreRow, suffix: str) -> None:
    where, singles = (row.concept, row.method), _values(results, row.key)
    average = f"LPIPS{suffix}_avg.json"
    if not suffix:
        _put(files, "LPIPS.json", singles, "LPIPS", *where)
        _put(files, average, row.value, "LPIPS", *where)
        return
    categories: dict[str, dict[str, float]] = {}
    for name, value in singles.items():
        category, _, image = name.partition("/")
        categories.setdefault(category, {})[image] = value
    _put(files, "LPIPS_object.json", categories, "LPIPS", *where)
    for category, values in categories.items():
        mean = sum(values.values()) / len(values)
        _put(files, average, mean, "LPIPS", "categories", *where, category)
    _put(files, average, row.value, "LPIPS", "all", *where)


def _put(files: _Files, file: str, value: Any, *keys: str) -> None:
    place = files.setdefault(file, {})
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    place[keys[-1]] = value
