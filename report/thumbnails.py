"""Thumbnails of a report, blurred in their pixels where an image shows nudity or may do so."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection
from pathlib import Path

from analysis.fitness import unfit
from analysis.verify import verify
from inputs.images import UnreadableImageError, decode, read
from records.model import Results

EDGE = 96  # pixels
BLUR = 12  # radius in pixels: of a figure as large as the thumbnail no feature is left


def thumbnails(results: Results) -> dict[tuple[str, str, str], dict[str, str]]:
    """Return JPEGs in base64 of the scored images.

    A concept whose task is nudity, or of which no run says what its task is, shows an image sharp
    only if all of its checkers judged the image, all said "absent", and one of them at least is
    fit; of another concept those are blurred that a sensitive checker flagged.
    Folders that are gone, or hold other images than the ones scored, are left out: what was said
    of the old images says nothing about the new.

    Returns:
        (concept, method's folder, scope) -> image name -> JPEG.
    """
    blind = unfit(results)
    return {
        place: {
            name: picture
            for name, blurred in _names(results, blind, *place).items()
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


def _names(
    results: Results, blind: Collection[tuple[str, str]], concept: str, method: str, scope: str
) -> dict[str, bool]:
    """Image name -> whether it must be blurred."""
    said = {
        key: dict(zip(one.names, one.values.tolist(), strict=True))
        for key, one in results.per_image.items()
        if (key.concept, key.method, key.scope) == (concept, method, scope)
    }
    names = sorted({name for values in said.values() for name in values})
    if _is_safe(results, concept):
        flags = [v for key, v in said.items() if results.judge_of(key).get("sensitive")]
        return {name: any(values.get(name) for values in flags) for name in names}
    judges = {k: v for k, v in said.items() if results.spec(k.metric).role == "presence"}
    if all((concept, key.column) in blind for key in judges):
        return dict.fromkeys(names, True)
    return {name: any(values.get(name, 1) for values in judges.values()) for name in names}


def _is_safe(results: Results, concept: str) -> bool:
    """Whether every run that says what a concept is about says that it is not nudity."""
    tasks = {run["tasks"][concept] for run in results.runs if concept in run.get("tasks", {})}
    return bool(tasks) and "nudity" not in tasks
