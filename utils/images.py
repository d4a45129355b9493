"""Finding, reading and pairing images.

Reading follows the libraries that the scores are compared with: ``Image.convert("RGB")``, which
drops an alpha channel. What EXIF says of the orientation is kept beside the pixels, because the
references disagree: clean-fid, pyiqa and CLIP's processor ignore it, OpenCV (nudenet) and
ultralytics apply it.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from utils.errors import UserError
from utils.files import check_folder

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


# Bound now: ultralytics replaces Image.open while it is imported, with one that may install things.
_open = Image.open
# What PIL opens. Its other formats include some that start an interpreter (EPS).
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
# EXIF orientation -> how to turn the stored pixels upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImageError(Exception):
    """One file that gives no image; the message says why. It never ends a run."""


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        rgb: the pixels as stored in the file, mode RGB.
        orientation: the EXIF orientation, 1 to 8 (1 = upright).
    """

    rgb: Image.Image
    orientation: int = 1

    @cached_property
    def upright(self) -> Image.Image:
        """The pixels turned as EXIF says."""
        turn = _TURNS.get(self.orientation)
        return self.rgb if turn is None else self.rgb.transpose(turn)


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """Sort key in which ``2.png`` comes before ``10.png``."""
    return [
        (0, int(part)) if part.isdecimal() else (1, part.casefold())
        for part in re.split(r"(\d+)", text)
        if part
    ]


def scan(folder: Path, *, recursive: bool = False, may_be_empty: bool = False) -> list[Path]:
    """Return the image files of ``folder``, by extension (any case), in natural order.

    A directory or broken link that is named like an image is in the list too: reading it says
    what it is. Links are followed; hidden files are left out.

    Raises:
        UserError: the folder is missing, is a file, cannot be listed or (unless
            ``may_be_empty``) holds no image.
    """
    check_folder(folder)
    try:
        found = list(_walk(folder, recursive))
        deeper = None if found or recursive else next(_walk(folder, recursive=True), None)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be listed ({error.strerror})") from error
    if not found and not may_be_empty:
        kinds = " ".join(sorted(ext[1:] for ext in EXTENSIONS))
        mend = "; its subfolders hold some: add --recursive" if deeper else ""
        raise UserError(f"{folder}: no images ({kinds}){mend}")
    return sorted(found, key=lambda path: natural_key(path.relative_to(folder).as_posix()))


def first_of_each(images: Sequence[Path], n: int | None) -> list[Path]:
    """Return the first ``n`` of the images in each folder, in their order; None for all."""
    met: Counter[Path] = Counter()
    kept = []
    for image in images:
        met[image.parent] += 1
        if n is None or met[image.parent] <= n:
            kept.append(image)
    return kept


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()  # folders, so that a loop of links ends
    for where, folders, files in os.walk(folder, followlinks=True, onerror=_raise):
        here = os.stat(where)
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        for name in files + folders:
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield Path(where, name)
        folders[:] = [d for d in folders if recursive and not d.startswith(".")]


def _raise(error: OSError) -> None:
    raise error


def read(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        UnreadableImageError: it is not a file, is missing or empty, or may not be read.
    """
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISDIR(kind):
            raise UnreadableImageError("is a directory")
        if not stat.S_ISREG(kind):  # a pipe or device would never end
            raise UnreadableImageError("not a regular file")
        data = path.read_bytes()
    except FileNotFoundError:
        raise UnreadableImageError("broken link" if path.is_symlink() else "no such file") from None
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from None
    if not data:
        raise UnreadableImageError("empty file (0 bytes)")
    return data


def decode(data: bytes) -> Picture:
    """Decode the bytes of an image file.

    16-bit grey images keep their high byte, as in OpenCV; PIL alone would clip them to white.

    Raises:
        UnreadableImageError: not an image, truncated, too many pixels (PIL's limit against
            decompression bombs), more than one frame, or samples without a fixed range.
    """
    try:
        with _open(io.BytesIO(data), formats=_FORMATS) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":  # MPO: a photo with its preview
                raise UnreadableImageError(f"animated or multi-page ({frames} frames)")
            rgb = _to_rgb(image)
            return Picture(rgb, image.getexif().get(ExifTags.Base.Orientation, 1))
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError("not an image, or damaged") from None
    except Exception as error:  # decoders raise nearly anything on damaged files
        text = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImageError(text) from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        high_byte = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(high_byte).convert("RGB")
    if image.mode in ("I", "F"):
        raise UnreadableImageError(f"mode {image.mode}: 32-bit samples have no fixed range")
    if image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # the same pixels, without PIL's warning
    return image.convert("RGB")


def check_pixels(width: int, height: int) -> None:
    """Refuse to make an image of more pixels than PIL would open.

    Preprocessing scales a strip of 1 x 20000 to 224 x 4480000.

    Raises:
        UnreadableImageError: too many pixels.
    """
    if width * height > Image.MAX_IMAGE_PIXELS:
        raise UnreadableImageError(f"would be scaled to {width}x{height} pixels")


@dataclass(frozen=True)
class Pairing:
    """Images of two folders that belong together.

    Attributes:
        pairs: (reference, candidate) paths, in natural order.
        missing: keys that only the reference folder has.
        surplus: keys that only the candidate folder has.
        ambiguous: keys that stand for several files of one folder; they are in no pair.
    """

    pairs: list[tuple[Path, Path]]
    missing: list[str]
    surplus: list[str]
    ambiguous: list[str]


def pair(
    reference: Path, references: Sequence[Path], folder: Path, candidates: Sequence[Path]
) -> Pairing:
    """Pair the images of two folders by relative path without extension."""
    left, right = _by_key(reference, references), _by_key(folder, candidates)
    several = {key for side in (left, right) for key, paths in side.items() if len(paths) > 1}
    ordered = [
        sorted(keys, key=natural_key)
        for keys in (
            left.keys() & right.keys() - several,
            left.keys() - right.keys() - several,
            right.keys() - left.keys() - several,
            several,
        )
    ]
    both, missing, surplus, ambiguous = ordered
    return Pairing([(left[k][0], right[k][0]) for k in both], missing, surplus, ambiguous)


def _by_key(root: Path, paths: Sequence[Path]) -> dict[str, list[Path]]:
    keyed: dict[str, list[Path]] = {}
    for path in paths:
        keyed.setdefault(path.relative_to(root).with_suffix("").as_posix(), []).append(path)
    return keyed
