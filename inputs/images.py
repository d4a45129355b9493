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
from utils.text import printable

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
# Files that lie beside images and are none: by extension, and by name. Every other file is taken
# for an image that somebody meant to score, and named if it is not read.
_COMPANIONS = frozenset(
    {
        *(".txt", ".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".toml", ".ini", ".xml"),
        *(".md", ".log", ".html", ".parquet", ".npy", ".npz"),
    }
)
_COMPANION_NAMES = frozenset({"readme", "license", "thumbs.db"})
MAX_PIXELS = 8192 * 8192  # of an image
_BYTES_PER_PIXEL = 13  # that decoding takes at most
MAX_SIDE = 65535  # JPEG's; a strip that is longer takes gigabytes to scale
MAX_BYTES = 4 * MAX_PIXELS  # of a file: such an image without compression

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
    def pixels(self) -> np.ndarray:
        """The same as an array, uint8 of shape (height, width, 3), made once."""
        return np.asarray(self.rgb)

    @cached_property
    def upright_pixels(self) -> np.ndarray:
        """``upright`` as an array, the same one as ``pixels`` where nothing is turned."""
        return self.pixels if self.upright is self.rgb else np.asarray(self.upright)

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
    """Return the files of ``folder`` that are to be scored, in natural order.

    That is every file that is not hidden and not a known companion of images (text, tables):
    reading one that is no image says why, so that a file of another extension or a broken link is
    counted and named. A directory that is named like an image is in the list too. Links are
    followed.

    Raises:
        UserError: the folder is missing, is a file, cannot be listed or (unless
            ``may_be_empty``) holds no file of an extension that is read.
    """
    check_folder(folder)
    try:
        found = list(_walk(folder, recursive))
        read = any(map(is_read, found))
        deeper = not (read or recursive) and any(map(is_read, _walk(folder, recursive=True)))
    except OSError as error:
        where = printable(str(error.filename))
        where = where if len(where) < 300 else f"{where[:300]}..."
        raise UserError(f"{where}: cannot be listed ({error.strerror})") from error
    if not read and not may_be_empty:
        kinds = " ".join(sorted(ext[1:] for ext in EXTENSIONS))
        others = " ".join(sorted({path.suffix.lower() or path.name for path in found})[:5])
        what = f"; not read: {printable(others)} (convert to PNG)" if others else ""
        mend = "; its subfolders hold some: add --recursive" if deeper else ""
        raise UserError(f"{folder}: no images ({kinds}){what}{mend}")
    return sorted(found, key=lambda path: natural_key(path.relative_to(folder).as_posix()))


def is_read(path: Path) -> bool:
    """Whether a file is taken for an image by its extension."""
    return path.suffix.lower() in EXTENSIONS


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
    waiting = [folder]  # not a recursion: folders may be nested more deeply than Python calls
    while waiting:
        where = waiting.pop()
        here = os.stat(where)
        if (here.st_dev, here.st_ino) in seen:
            continue
        seen.add((here.st_dev, here.st_ino))
        with os.scandir(where) as entries:
            names = [(entry.name, _is_folder(entry)) for entry in entries]
        # Backwards: the last is taken next. Of links to one folder the same one always counts.
        for name, is_folder in sorted(names, reverse=True):
            path = where / name
            if name.startswith("."):
                continue
            if is_folder and recursive:
                waiting.append(path)
            if is_read(path) if is_folder else not is_companion(path):
                yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links that point at each other: reading it says so
        return False


def is_companion(path: Path) -> bool:
    """Whether a file is one that lies beside images and is none (text, tables)."""
    return path.suffix.lower() in _COMPANIONS or path.name.lower() in _COMPANION_NAMES


def read(path: Path) -> bytes:
    """Return the bytes of an image file.

    Raises:
        UnreadableImageError: it is not a file, is missing or empty, has an extension that is not
            read or more than ``MAX_BYTES``, or may not be read.
    """
    try:
        about = os.stat(path)
        if stat.S_ISDIR(about.st_mode):
            raise UnreadableImageError("is a directory")
        if not stat.S_ISREG(about.st_mode):  # a pipe or device would never end
            raise UnreadableImageError("not a regular file")
        if not is_read(path):
            named = f"extension {printable(path.suffix)}" if path.suffix else "no extension, which"
            raise UnreadableImageError(f"{named} is not read: convert it to PNG")
        # By what the folder says: files of /proc have no size, and reading some never ends.
        if about.st_size == 0:
            raise UnreadableImageError("empty file (0 bytes)")
        if about.st_size > MAX_BYTES:
            raise UnreadableImageError(f"{about.st_size} bytes, over {MAX_BYTES}")
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        raise UnreadableImageError("broken link" if path.is_symlink() else "no such file") from None
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from None


def decode(data: bytes) -> Picture:
    """Decode the bytes of an image file.

    16-bit grey images keep their high byte, as in OpenCV; PIL alone would clip them to white.

    Raises:
        UnreadableImageError: not an image, truncated, over ``MAX_PIXELS`` or ``MAX_SIDE`` (told
            from the header), more than one frame, or samples without a fixed range.
    """
    try:
        with _open(io.BytesIO(data), formats=_FORMATS) as image:
            size = f"{image.width}x{image.height} pixels"
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImageError(f"{size}, over {MAX_PIXELS}")
            if max(image.size) > MAX_SIDE:
                raise UnreadableImageError(f"{size}, a side over {MAX_SIDE}")
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


def decoding_bytes(data: bytes) -> int:
    """Return the memory that ``decode`` takes at most, told from the header.

    Nothing of what is no image or too large: it is refused by its header.
    """
    try:
        with _open(io.BytesIO(data), formats=_FORMATS) as image:
            pixels = image.width * image.height
    except Exception:  # ``decode`` says why
        return 0
    return _BYTES_PER_PIXEL * pixels if pixels <= MAX_PIXELS else 0


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
    """Refuse to make an image of more pixels than one may have.

    Preprocessing scales a strip of 1 x 20000 to 224 x 4480000.

    Raises:
        UnreadableImageError: too many pixels.
    """
    if width * height > MAX_PIXELS:
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
