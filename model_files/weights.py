"""Weights: finding their files, given by path, in a cache or downloaded; and loading them."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import pickle
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_files.check import check_file, fault, zip_fault
from model_files.download import Published, download, reason
from utils.errors import MissingModelError, UserError
from utils.files import check_folder

if TYPE_CHECKING:
    from torch import nn

_IGMU = "https://github.com/ryliu68/IGMU/raw"
_BI, _MULTI = "a9dc4cea2c8e1360d813fac09b75b0d9a747895c", "21e9cf9567a5eab7dbb55f69231c964ec5b2d5e1"
_LARGEST = 2 << 30  # bytes of a checkpoint or a head; the largest known has a ninth of it
_SHOWN = 3  # names of tensors in a message


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


def default_cache_dir() -> Path:
    """The user's cache folder of this toolkit (features and heads)."""
    from platformdirs import user_cache_path

    return user_cache_path("igmu", appauthor=False)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hex; computed once while the file stays what it is."""
    found = os.stat(path)
    return _sha256(path, found.st_ino, found.st_size, found.st_mtime_ns)


@cache
def _sha256(path: Path, *_: int) -> str:
    # In one call: each piece read by itself would wait anew for the thread that imports torch.
    with path.open("rb") as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # an empty file, or a pipe
            return hashlib.file_digest(file, "sha256").hexdigest()
        with content:
            return hashlib.sha256(content).hexdigest()


def load_state_dict(path: Path) -> dict[str, Any]:
    """Load a PyTorch state dict on the CPU; nothing in the file is executed.

    Raises:
        UserError: not a plain state dict, or a damaged one.
    """
    import torch

    check_file(path, str(path))
    wrong = fault(path) or zip_fault(path)
    try:
        if wrong:
            raise ValueError(wrong)
        mapped = zipfile.is_zipfile(path)  # what torch wrote before 1.6 has to be read
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # unpickling a damaged or hostile file raises many kinds
        unsafe = isinstance(error, pickle.UnpicklingError)  # torch's own text is of how to run it
        why = "more than tensors in it, or damaged" if unsafe else reason(error)
        raise UserError(
            f"{path}: refused, not a plain PyTorch state dict ({why}); nothing in it was executed"
        ) from error
    if not isinstance(state, Mapping):
        raise UserError(f"{path}: not a state dict but a {type(state).__name__}")
    return dict(state)


def load_strictly(module: nn.Module, state: Mapping[str, Any], path: Path) -> nn.Module:
    """Load a state dict into ``module`` and return it in evaluation mode, without gradients.

    The module takes the tensors themselves, as fp32, in place of its own, which may be on the
    device ``meta``.

    Raises:
        UserError: the state dict is not this module's, or holds NaN or infinity.
    """
    wrong = _differences(module.state_dict(), state)
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        detail = "; ".join(wrong[:_SHOWN]) + more
        raise UserError(f"{path}: not the state dict of {type(module).__name__}: {detail}")
    try:
        full = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        module.load_state_dict(full, strict=True, assign=True)
        damaged = next((key for key, value in full.items() if not value.isfinite().all()), None)
    except RuntimeError as error:  # tensors without values, sparse ones and others
        raise UserError(
            f"{path}: not the state dict of {type(module).__name__}: {reason(error)}"
        ) from error
    if damaged:
        raise UserError(f"{path}: {damaged} holds values that are not finite; the file is damaged")
    return module.eval().requires_grad_(False)


def _differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What tells a state dict from the one that is expected, a text for each tensor."""
    wrong = [
        f"no {key}"
        for key in expected
        if key not in found
        and not key.endswith("num_batches_tracked")  # plays no part, and older files lack it
    ]
    for key, value in found.items():
        name = f"{key!s:.80}"
        if key not in expected:
            wrong.append(f"{name} is none of its tensors")
        elif not hasattr(value, "is_floating_point"):
            wrong.append(f"{name} is no tensor but a {type(value).__name__}")
        elif value.shape != expected[key].shape:
            sizes = ("x".join(map(str, v.shape)) or "a number" for v in (value, expected[key]))
            wrong.append("{} is {}, not {}".format(name, *sizes))
        elif value.is_floating_point() != expected[key].is_floating_point():
            wrong.append(f"{name} is of type {value.dtype}")
    return wrong


def spec_digest(**parts: object) -> str:
    """Return 16 hex digits that stand for ``parts``: the tail of an extractor id."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def find_head(layout: str, weights_dir: Path | None, cache_dir: Path) -> Path:
    """Return the file of a classifier head.

    Taken from ``weights_dir`` where that is given, else from the cache, into which it is
    downloaded when missing.

    Args:
        layout: a key of ``HEADS``, for example ``"bi_multiC/nudity"``.

    Raises:
        MissingModelError: not to be had.
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
        check_file(path, f"--weights-dir {path}", _LARGEST)
        return path
    there = [known for known in HEADS if _in_folder(known, weights_dir)]
    raise MissingModelError(
        f"--weights-dir {weights_dir}: no {_head_file(layout)} there, which was asked for; it has "
        f"{', '.join(there) or 'no head'}; without the option the published head is taken",
        HEADS[layout],
        str(weights_dir / _head_file(layout)),
    )


def _in_folder(layout: str, folder: Path) -> Path | None:
    # The first release had no indicator folder: Weights/nudity/classifier_head.pth.
    paths = (folder / _head_file(known) for known in (layout, Path(layout).name))
    return next(filter(os.path.lexists, paths), None)


def torch_home() -> Path:
    """The folder in which torch.hub keeps checkpoints (``TORCH_HOME``), without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()


def find_checkpoint(option: str, given: str | None, published: Published) -> Path:
    """Return a checkpoint file, given by path or looked for where torch.hub keeps them.

    Args:
        option: the name on the left of ``--model NAME=...``, for messages.
        given: the user's path, if any; it is used as it is.

    Raises:
        MissingModelError: not to be had.
        UserError: it is not a file that can be read, or the cached one is not the published one.
    """
    if given is not None:
        return given_file(option, given)
    cached = torch_home() / "hub" / "checkpoints" / published.name
    what = f"{published.name} ({option})"
    return find_published(what, published, cached, f"--model {option}=FILE")


def given_file(option: str, given: str, suffix: str = ".pth") -> Path:
    """Return the path of ``--model option=given``.

    Args:
        suffix: the usual one of such files, whatever this one's.

    Raises:
        UserError: it is not a file that can be read, or plainly no such model.
    """
    path, said = Path(given).expanduser(), f"--model {option}={given}"
    check_file(path, said, _LARGEST)
    wrong = fault(path, suffix)
    if wrong:
        raise UserError(f"{said}: {wrong}")
    return path


def find_published(what: str, published: Published, place: Path, option: str) -> Path:
    """Return a published file at its place in a cache, downloaded when missing.

    Where no digest is published, that of what was downloaded is kept beside it, and the file is
    held to that from then on.

    Args:
        what: the file's name, for messages.
        option: with what the user gives a file of their own, for messages.

    Raises:
        MissingModelError: not to be had.
        UserError: the file there is not the published one.
    """
    if os.path.lexists(place):
        check_published(published, place, option)
        return place
    try:
        digest = download(published, place)
        if published.sha256 is None:
            _record(place).write_text(f"{digest}  {place.name}\n")
    except OSError as error:
        raise MissingModelError(
            f"{what} is not on this machine and cannot be downloaded ({reason(error)}); get "
            f"{published.url} and put it at {place}, or give it with {option}",
            published,
            str(place),
            reason(error),
            what,
        ) from error
    return place


def check_published(published: Published, path: Path, option: str) -> None:
    """Make sure that a file under a published name is the published file.

    Raises:
        UserError: it is not.
    """
    mend = f"delete it, or give a file of your own with {option}"
    try:
        check_file(path, str(path), _LARGEST)
    except UserError as error:
        raise UserError(f"{error}; {mend}") from error
    expected = published.sha256 or _recorded(path)
    if expected is None:
        wrong = fault(path) or zip_fault(path)
    elif file_sha256(path) != expected:
        came = "that was downloaded" if published.sha256 is None else "that is published"
        wrong = fault(path) or f"not the file {came} (another SHA-256)"
    else:
        return
    if wrong:
        raise UserError(f"{path}: {wrong}; {mend}")


def is_published(published: Published, path: Path) -> bool | str:
    """Return what the manifest says of a file's digest: whether it is the published one.

    Where none is published, a text that says so.
    """
    if published.sha256 is not None:
        return file_sha256(path) == published.sha256
    kept = _recorded(path) == file_sha256(path)
    return "no digest is published" + ("; the one first downloaded" if kept else "")


def _record(path: Path) -> Path:
    """Where the digest of a file as first downloaded is kept, in the form of ``sha256sum``."""
    return path.with_name(f"{path.name}.sha256")


def _recorded(path: Path) -> str | None:
    try:
        return _record(path).read_text()[:64]
    except (OSError, ValueError):
        return None
