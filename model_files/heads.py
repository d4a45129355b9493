"""Classifier heads of the published checkers: where they are, and finding one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from model_files.check import check_file
from model_files.download import Published
from model_files.published import LARGEST, find_published
from utils.errors import MissingModelError
from utils.files import check_folder

_IGMU = "https://github.com/ryliu68/IGMU/raw"
_BI, _MULTI = "a9dc4cea2c8e1360d813fac09b75b0d9a747895c", "21e9cf9567a5eab7dbb55f69231c964ec5b2d5e1"


def _bi(concept: str, sha256: str) -> Published:
    return Published(f"{_IGMU}/{_BI}/Weights/{concept}/classifier_head.pth", sha256, 1.7)


def _multi(task: str) -> Published:
    url = f"{_IGMU}/{_MULTI}/Weights/multi_multiC/{task}/classifier_head.pth"
    return Published(url, megabytes=18.4)


# Keys are paths below the weights folder, without the file name.
HEADS: Mapping[str, Published] = {
    "bi_multiC/nudity": _bi(
        "nudity", "762a6437a42aed3036ee5d1eed6b7885095a24be549b914416a2d6774be2e737"
    ),
    "bi_multiC/style_vangogh": _bi(
        "style_vangogh", "c5fc6912ce69512f7008a69c4767f1ed869e7309905deacd709808e51f7e9f7a"
    ),
    "bi_multiC/object_church": _bi(
        "object_church", "708a60efaf8ed79a2acf3001f38062fd985f9e0b0e98cf5b5c08ffbe21337ed5"
    ),
    "bi_multiC/object_parachute": _bi(
        "object_parachute", "2395a7a8dbd72839ac46d58c007c19f45e709738ec258443682ab67a7ea3d5ee"
    ),
    "multi_multiC/Nudity": _multi("Nudity"),
    "multi_multiC/Object": _multi("Object"),
    "multi_multiC/Style": _multi("Style"),
}


def find_head(layout: str, weights_dir: Path | None, cache_dir: Path) -> Path:
    """Return the file of a classifier head.

    Taken from ``weights_dir`` where that is given, else from the cache, into which it is
    downloaded when missing.

    Args:
        layout: a key of ``HEADS``, for example ``"bi_multiC/nudity"``.

    Raises:
        MissingModelError: not on this machine, and not downloaded.
        UserError: it is not a file that can be read, or the cached one is not the published one.
    """
    if weights_dir is not None:
        return _given_head(layout, weights_dir)
    return find_published(
        f"head {layout}", HEADS[layout], cache_dir / "weights" / _head_file(layout), "--weights-dir"
    )


def _head_file(layout: str) -> Path:
    return Path(layout, "classifier_head.pth")


def _given_head(layout: str, weights_dir: Path) -> Path:
    check_folder(weights_dir, "--weights-dir")
    path = _in_folder(layout, weights_dir)
    if path is not None:
        check_file(path, f"--weights-dir {path}", LARGEST)
        return path
    there = [known for known in HEADS if _in_folder(known, weights_dir)]
    raise MissingModelError(
        f"--weights-dir {weights_dir}: no {_head_file(layout)} there, which was asked for; it has "
        f"{', '.join(there) or 'no head'}; without the option the published head is taken",
        HEADS[layout].url,
        str(weights_dir / _head_file(layout)),
        megabytes=HEADS[layout].megabytes,
    )


def _in_folder(layout: str, folder: Path) -> Path | None:
    # The first release had no indicator folder: Weights/nudity/classifier_head.pth.
    paths = (folder / _head_file(known) for known in (layout, Path(layout).name))
    return next(filter(os.path.lexists, paths), None)
