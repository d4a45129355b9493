"""The published scripts' JSON files, with their nesting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.run import Result

# Aspect -> name in its published JSON file, and whether there is a file of single values too.
_JSON = {
    "forgetting": ("accuracy", False),
    "fid": ("FID", False),
    "lpips": ("LPIPS", True),
    "yolo": ("YOLO", False),
    "CSDR": ("CSDR", True),
}


# Published files -> how many keys lead to a method's value.
DEPTHS = {
    **dict.fromkeys(("accuracy.json", "FID.json", "FID_object.json", "YOLO.json"), 3),
    **dict.fromkeys(("YOLO_object.json", "LPIPS.json", "LPIPS_avg.json", "LPIPS_object.json"), 3),
    "LPIPS_object_avg.json": 4,
    **dict.fromkeys(("CSDR.json", "CSDR_avg.json"), 2),
    **dict.fromkeys(("CSDR_object.json", "CSDR_object_avg.json"), 2),
}


def merged(before: Mapping[str, Any], now: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """The earlier document with the methods of this run put in the place of theirs."""
    if depth == 1:
        return {**before, **now}
    inner = {key: merged(before.get(key, {}), value, depth - 1) for key, value in now.items()}
    return {**before, **inner}


def published_json(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """Return the published files by name, with the published nesting."""
    files: dict[str, dict[str, Any]] = {}
    for result in results:
        aspect, task = result.cell.aspect.name, result.cell.task
        if aspect not in _JSON:
            continue
        key, singles = _JSON[aspect]
        method, concept = result.method.method.folder, task.concept.name
        suffix = "" if task.scope == "forgot" else "_object"
        main = result.scores[0]
        if not singles:
            _put(files, f"{key}{suffix}.json", main.value, key, concept, method)
        elif aspect == "lpips":
            _put_lpips(files, result, suffix)
        else:
            images = list(result.scores[_CSDR_LISTS.index("clipscore")].per_image)
            for score, name in zip(result.scores, _CSDR_LISTS, strict=True):
                values = [score.per_image.get(image) for image in images]
                _put(files, f"CSDR{suffix}.json", values, concept, method, name)
            _put(files, f"CSDR{suffix}_avg.json", main.value, concept, method)
    return files


# Published names of the lists in CSDR.json, in the order of the aspect's scores.
_CSDR_LISTS = ("clipscore_diff", "clipscore_diff_signed", "clipscore", "clipscore_org")


def _put_lpips(files: dict[str, dict[str, Any]], result: Result, suffix: str) -> None:
    concept, method = result.cell.task.concept.name, result.method.method.folder
    main = result.scores[0]
    average = f"LPIPS{suffix}_avg.json"
    if not suffix:
        _put(files, "LPIPS.json", dict(main.per_image), "LPIPS", concept, method)
        _put(files, average, main.value, "LPIPS", concept, method)
        return
    categories: dict[str, dict[str, float]] = {}
    for name, value in main.per_image.items():
        category, _, image = name.partition("/")
        categories.setdefault(category, {})[image] = value
    _put(files, "LPIPS_object.json", categories, "LPIPS", concept, method)
    for category, values in categories.items():
        mean = sum(values.values()) / len(values)
        _put(files, average, mean, "LPIPS", "categories", concept, method, category)
    _put(files, average, main.value, "LPIPS", "all", concept, method)


def _put(files: dict[str, dict[str, Any]], file: str, value: Any, *keys: str) -> None:
    place = files.setdefault(file, {})
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    place[keys[-1]] = value
