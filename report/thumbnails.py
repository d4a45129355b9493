"""Thumbnails of a report, blurred in their pixels where an image shows nudity or may do so."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

from checkers.nudenet import PRESETS
from report.results import Results
from report.verify import verify
from utils.images import UnreadableImageError, decode, read

EDGE = 96  # pixels
BLUR = 12  # radius in pixels: of a figure as large as the thumbnail no feature is left
_NUDITY = ("nud", "genitalia")  # in a concept's name, a head's path, a preset's labels
_FLAGS = frozenset(f"presence_rate_nudenet_{preset}" for preset in PRESETS["Nudity"])


def thumbnails(results: Results) -> dict[tuple[str, str, str], dict[str, str]]:
    """Return JPEGs in base64 of the scored images.

    A concept that a nudity checker judges shows an image sharp only if it was judged and no
    checker said "present"; of another concept those are blurred that any preset of nudity flagged.
    Folders that are gone, or hold other images than the ones scored, are left out: what was said
    of the old images says nothing about the new.

    Returns:
        (concept, method's folder, scope) -> image name -> JPEG.
    """
    return {
        place: {
            name: picture
            for name, blurred in _names(results, *place).items()
            if (picture := _thumbnail(folder / name, blurred=blurred))
        }
        for place, folder in _folders(results).items()
    }


def _thumbnail(file: Path, *, blurred: bool) -> str | None:
    try:
        return thumbnail(file, blurred=blurred)
    except (UnreadableImageError, OSError):  # gone since the folder was looked at
        return None


def thumbnail(file: Path, *, blurred: bool) -> str:
    """Return a JPEG in base64 of at most ``EDGE`` pixels, its pixels themselves blurred if asked.

    Raises:
        UnreadableImageError, OSError: the file is no image, or gone.
    """
    from PIL import Image, ImageFilter

    small = decode(read(file)).rgb.copy()
    small.thumbnail((EDGE, EDGE))
    if blurred:
        small = small.filter(ImageFilter.GaussianBlur(BLUR))
    bare = Image.new("RGB", small.size)  # without what the file says beside its pixels
    bare.paste(small)
    buffer = io.BytesIO()
    bare.save(buffer, "JPEG", quality=70)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _folders(results: Results) -> dict[tuple[str, str, str], Path]:
    """The folders whose images are those that were scored."""
    found_now = [one for one in verify(results) if one.kind == "images"]
    # Of a folder that changed between two runs, only the last one's digest stands.
    sound = {one.path for one in found_now} - {one.path for one in found_now if not one.stands}
    found = {}
    for run in results.runs:
        for place in run.get("places", []):
            folder = Path(run["folder"], place["folder"])
            if folder in sound:
                found.setdefault((place["concept"], place["method"], place["scope"]), folder)
    return found


def _names(results: Results, concept: str, method: str, scope: str) -> dict[str, bool]:
    """Image name -> whether it must be blurred."""
    nudity = _is_nudity(results, concept)
    names: set[str] = set()
    judged: set[str] = set()
    flagged: set[str] = set()
    for (its_concept, its_method, metric), one in results.per_image.items():
        its_scope = "unrelated" if metric.endswith("_object") else "forgot"
        if (its_concept, its_method, its_scope) != (concept, method, scope):
            continue
        names.update(one.names)
        if metric.startswith("presence_rate") if nudity else metric in _FLAGS:
            judged.update(one.names)
            flagged.update(n for n, value in zip(one.names, one.values, strict=True) if value > 0)
    return {name: name in flagged or (nudity and name not in judged) for name in sorted(names)}


def _is_nudity(results: Results, concept: str) -> bool:
    judges = [run.get("checkers", {}).get(concept, {}) for run in results.runs]
    judges += [
        said for run in results.runs for said in run.get("indicators", {}).get(concept, {}).values()
    ]
    said = [(judge.get("head"), judge.get("labels")) for judge in judges]
    text = f"{concept} {json.dumps(said)}".casefold()
    return any(word in text for word in _NUDITY)
