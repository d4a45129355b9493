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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from utils.errors import UserError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


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
        if self.orientation == 1:
            return self.rgb
        return ImageOps.exif_transpose(self.rgb)


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """Sort key in which ``2.png`` comes before ``10.png``."""
    return [
        (0, int(part)) if part.isdecimal() else (1, part.casefold())
        for part in re.split(r"(\d+)", text)
        if part
    ]


def scan(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the image files of ``folder``, by extension (any case), in natural order.

    A directory or broken link that is named like an image is in the list too: reading it says
    what it is. Links are followed; hidden files are left out.

    Raises:
        UserError: the folder is missing, is a file, cannot be listed or holds no image.
    """
    if not folder.exists():
        raise UserError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder (give the folder that holds the images)")
    try:
        found = list(_walk(folder, recursive))
    except PermissionError as error:
        raise UserError(f"{error.filename}: cannot be listed: permission denied") from error
    if not found:
        kinds = " ".join(sorted(ext[1:] for ext in EXTENSIONS))
        deeper = 0 if recursive else sum(1 for _ in _walk(folder, recursive=True))
        mend = f"; its subfolders hold {deeper}: add --recursive" if deeper else ""
        raise UserError(f"{folder}: no images ({kinds}){mend}")
    return sorted(found, key=lambda path: natural_key(path.relative_to(folder).as_posix()))


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    for where, folders, files in os.walk(folder, followlinks=True, onerror=_raise):
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
        data = path.read_bytes()
    except IsADirectoryError:
        raise UnreadableImageError("is a directory") from None
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
        with Image.open(io.BytesIO(data)) as image:
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
