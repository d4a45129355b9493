"""Image folders in the published layout, of seeded painted images or of photographs.

Images are made once, in ``<cache>/images/<source>/<METHOD>``; a tree of so many methods and
images is made of hard links to them.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

METHODS = (
    "ORG",
    "ESD",
    "FMN",
    "SPM",
    "AdvUnlearn",
    "MACE",
    "RECE",
    "DoCoPreG",
    "UCE",
    "Receler",
    "ConcptPrune",
)
TWELFTH = "Twelfth"
_REFERENCE = "reference"
_SAMPLES = 5  # images a prompt
_PROMPTS = 50  # of the church concept
_SHIFT = 8  # pixels


@dataclass(frozen=True)
class Painted:
    """Images like photographs in what matters for speed: smooth areas, texture, size of the PNG.

    Noise at every scale, its amplitude falling with frequency. At 512 x 512 a PNG has 450 kB,
    about what generated photographs of that size have.

    Attributes:
        edge: of the square image, in pixels.
    """

    edge: int = 512

    @property
    def name(self) -> str:
        return f"painted-{self.edge}"

    def png(self, folder: str, number: int) -> bytes:
        """Return image ``number`` of a folder."""
        rng = np.random.default_rng([crc32(folder.encode()), number])
        pixels = np.full((self.edge, self.edge, 3), 120, np.float32)
        for scale in (2**power for power in range(2, self.edge.bit_length())):
            noise = rng.standard_normal((3, scale, scale)).astype(np.float32)
            noise *= 75 * (4 / scale) ** 0.75
            for channel, layer in enumerate(noise):
                pixels[..., channel] += Image.fromarray(layer).resize(
                    (self.edge, self.edge), Image.Resampling.BICUBIC
                )
        return _encoded(pixels.clip(0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Photographs:
    """The images of a folder and its subfolders, dealt to the methods in turn.

    When they run out they come again, moved sideways by a few pixels: another image to every
    cache, and the same to every decoder and network.

    Attributes:
        folder: of PNG or JPEG files.
    """

    folder: Path

    @property
    def name(self) -> str:
        return f"photographs-{crc32(str(self.folder.resolve()).encode()):08x}"

    @cached_property
    def paths(self) -> list[Path]:
        """The files."""
        kinds = (".png", ".jpg", ".jpeg")
        found = sorted(p for p in self.folder.rglob("*") if p.suffix.lower() in kinds)
        if not found:
            raise SystemExit(f"{self.folder}: no images (png jpg jpeg)")
        return found

    def png(self, folder: str, number: int) -> bytes:
        """Return image ``number`` of a folder."""
        folders = (_REFERENCE, *METHODS, TWELFTH)
        place = number * len(folders) + folders.index(folder)
        turn, which = divmod(place, len(self.paths))
        pixels = np.asarray(Image.open(self.paths[which]).convert("RGB"))
        return _encoded(np.roll(pixels, turn * _SHIFT, axis=1))


Source = Painted | Photographs


def _encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def file_name(number: int) -> str:
    """Return ``{i}_{j}_{k}.png``: class 0, five images of each prompt, then five more.

    >>> file_name(0), file_name(7), file_name(250)
    ('0_0_0.png', '0_1_2.png', '0_0_5.png')
    """
    prompt, sample = divmod(number, _SAMPLES)
    again, prompt = divmod(prompt, _PROMPTS)
    return f"0_{prompt}_{sample + again * _SAMPLES}.png"


def make_tree(cache: Path, source: Source, methods: Sequence[str], images: int, name: str) -> Path:
    """Make ``<root>/Church/{forgot/<METHOD>,remove_word/ORG}`` and return the root.

    Args:
        cache: where images are kept between runs.
        source: where images come from.
        methods: method folders.
        images: images in each folder.
        name: of the root in ``<cache>/trees``; what was there is removed.
    """
    root = cache / "trees" / name
    shutil.rmtree(root, ignore_errors=True)
    for method in methods:
        _fill(root / "Church" / "forgot" / method, cache, source, method, images)
    _fill(root / "Church" / "remove_word" / "ORG", cache, source, _REFERENCE, images)
    return root


def add_method(root: Path, cache: Path, source: Source, images: int) -> None:
    """Add the folder of a twelfth method to a tree."""
    _fill(root / "Church" / "forgot" / TWELFTH, cache, source, TWELFTH, images)


def _fill(folder: Path, cache: Path, source: Source, pool: str, images: int) -> None:
    stock = cache / "images" / source.name / pool
    stock.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(lambda number: _make(stock, source, number), range(images)))
    folder.mkdir(parents=True)
    for number in range(images):
        os.link(stock / file_name(number), folder / file_name(number))


def _make(stock: Path, source: Source, number: int) -> None:
    path = stock / file_name(number)
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(source.png(stock.name, number))
        unfinished.rename(path)
