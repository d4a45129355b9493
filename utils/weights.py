"""Finding model files: given by path, in a cache, or downloaded into one."""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.errors import UserError
from utils.files import check_folder
from utils.offline import check_downloads

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 20
_IGMU = "https://github.com/ryliu68/IGMU/raw"
_BI, _MULTI = "a9dc4cea2c8e1360d813fac09b75b0d9a747895c", "21e9cf9567a5eab7dbb55f69231c964ec5b2d5e1"


@dataclass(frozen=True)
class Published:
    """A published file: where it is, and its SHA-256 (or how that begins) where one is known."""

    url: str
    sha256: str | None = None


def _bi(concept: str, sha256: str) -> Published:
    return Published(f"{_IGMU}/{_BI}/Weights/{concept}/classifier_head.pth", sha256)


def _multi(task: str) -> Published:
    return Published(f"{_IGMU}/{_MULTI}/Weights/multi_multiC/{task}/classifier_head.pth")


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


@cache
def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hex."""
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
        UserError: not a plain state dict.
    """
    import torch

    try:
        mapped = zipfile.is_zipfile(path)  # what torch wrote before 1.6 has to be read
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # unpickling a damaged or hostile file raises many kinds
        raise UserError(
            f"{path}: refused, not a plain PyTorch state dict ({reason(error)}); nothing in it was "
            "executed"
        ) from error
    if not isinstance(state, Mapping):
        raise UserError(f"{path}: not a state dict but a {type(state).__name__}")
    return dict(state)


def load_strictly(module: nn.Module, state: Mapping[str, Any], path: Path) -> nn.Module:
    """Load a state dict into ``module`` and return it in evaluation mode, without gradients.

    The module takes the tensors themselves, as fp32, in place of its own.

    Raises:
        UserError: the state dict is not this module's.
    """
    try:
        full = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        module.load_state_dict(full, strict=True, assign=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        detail = lines[1] if len(lines) > 1 else lines[0]
        raise UserError(
            f"{path}: not the state dict of {type(module).__name__}: {detail}"
        ) from error
    return module.eval().requires_grad_(False)


def spec_digest(**parts: object) -> str:
    """Return 16 hex digits that stand for ``parts``: the tail of an extractor id."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def find_head(layout: str, weights_dir: Path | None, cache_dir: Path) -> Path:
    """Return the file of a classifier head.

    Looked for in ``weights_dir``, then in the cache, then downloaded into the cache, its digest
    checked where one is published.

    Args:
        layout: a key of ``HEADS``, for example ``"bi_multiC/nudity"``.

    Raises:
        UserError: not to be had, or the cached file is not the published one.
    """
    relative = Path(layout, "classifier_head.pth")
    published = HEADS[layout]
    if weights_dir is not None:
        check_folder(weights_dir, "--weights-dir")
        # The first release had no indicator folder: Weights/nudity/classifier_head.pth.
        for given in (weights_dir / relative, weights_dir / Path(layout).name / relative.name):
            if given.is_file():
                return given
        logger.warning("%s: no %s there; the published head is used", weights_dir, relative)
    cached = cache_dir / "weights" / relative
    if cached.is_file():
        if published.sha256 not in (None, file_sha256(cached)):
            raise UserError(f"{cached}: not the published file (SHA-256 differs); delete it")
        return cached
    try:
        download(published, cached)
    except OSError as error:
        raise UserError(
            f"head {relative} is not on this machine and cannot be downloaded "
            f"({reason(error)}); get {published.url} and put it at {cached}, "
            f"or at {relative} under a folder given with --weights-dir"
        ) from error
    return cached


def download(published: Published, target: Path) -> None:
    """Download a file and check its digest; ``target`` appears whole or not at all.

    Raises:
        OSError: no network, not found, cannot be written, or the digest is not the published one.
    """
    check_downloads()
    logger.info("downloading %s", published.url)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        digest = hashlib.sha256()
        with (
            urllib.request.urlopen(published.url, timeout=TIMEOUT_SECONDS) as answer,
            unfinished.open("wb") as file,
        ):
            while chunk := answer.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
        if not digest.hexdigest().startswith(published.sha256 or ""):
            raise OSError(f"SHA-256 of what came is {digest.hexdigest()}, not the published one")
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def torch_home() -> Path:
    """The folder in which torch.hub keeps checkpoints (``TORCH_HOME``), without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()


def find_checkpoint(option: str, given: str | None, published: Published) -> Path:
    """Return a checkpoint file, given by path or looked for where torch.hub keeps them.

    The file name's ``-xxxxxxxx`` is the start of its SHA-256, as torch.hub has it; a download is
    checked against that.

    Args:
        option: the name on the left of ``--model NAME=...``, for messages.
        given: the user's path, if any; it is used as it is.

    Raises:
        UserError: not to be had.
    """
    if given is not None:
        path = Path(given).expanduser()
        if not path.is_file():
            raise UserError(f"--model {option}={given}: no such file")
        return path
    cached = torch_home() / "hub" / "checkpoints" / published.url.rsplit("/", 1)[-1]
    if cached.is_file():
        return cached
    try:
        download(published, cached)
    except OSError as error:
        raise UserError(
            f"{cached.name} ({option}) is not on this machine and cannot be downloaded "
            f"({reason(error)}); get {published.url} and put it at {cached}, or give it with "
            f"--model {option}=FILE"
        ) from error
    return cached


def reason(error: Exception) -> str:
    """Return what an exception says, in one line."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    text = getattr(inner, "strerror", None) or str(inner)
    return (text.strip() or type(inner).__name__).splitlines()[0]


def find_hub_model(
    option: str, model: str, files: tuple[str, ...], *, may_download: bool = True
) -> Path:
    """Return the folder of a Hugging Face model, given by path or by id.

    A path is used as it is. An id is looked for in the hub's cache (``HF_HOME``) and downloaded
    there when missing. The weights are ``model.safetensors`` or, where there is none,
    ``pytorch_model.bin``.

    Args:
        option: the name on the left of ``--model NAME=...``, for messages.
        files: further files that are taken where the model has them.
        may_download: False looks at what is on this machine only.

    Raises:
        UserError: not to be had.
    """
    folder = Path(model).expanduser()
    if os.path.isdir(folder):
        if not (folder / "config.json").is_file():
            raise UserError(f"--model {option}={model}: no config.json in that folder")
        hub_weights(folder)
        return folder
    if os.path.exists(folder) or model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise UserError(f"--model {option}={model}: neither a folder nor a hub id (owner/name)")

    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError

    try:
        try:
            return _fetch_hub_model(model, files, local=True)
        except FileNotFoundError:
            if not may_download:
                raise
            if constants.is_offline_mode():
                raise OSError("HF_HUB_OFFLINE is set") from None
            check_downloads()
            _probe(constants.ENDPOINT)  # the hub's client would retry for half a minute
            return _fetch_hub_model(model, files, local=False)
    except (OSError, ValueError, EntryNotFoundError) as error:
        raise UserError(
            f"model {option}={model} is not on this machine and cannot be downloaded "
            f"({reason(error)}); on a machine with internet run `python prefetch.py` and copy "
            f"{constants.HF_HUB_CACHE} here, or get https://huggingface.co/{model} and give its "
            f"folder with --model {option}=FOLDER"
        ) from error


def _fetch_hub_model(model: str, files: tuple[str, ...], *, local: bool) -> Path:
    """Return the folder in the hub's cache; OSError when a needed file is not to be had."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    def fetch(name: str) -> str:
        return hf_hub_download(model, name, local_files_only=local)

    config = Path(fetch("config.json"))
    try:
        fetch("model.safetensors")
    except EntryNotFoundError:
        fetch("pytorch_model.bin")
    for name in files:
        try:
            fetch(name)
        except LocalEntryNotFoundError:
            if not local:
                raise  # the connection broke: do not go on with half a model
        except EntryNotFoundError:
            pass  # the repository has none
    return config.parent


def _probe(url: str) -> None:
    request = urllib.request.Request(url, method="HEAD")
    with suppress(urllib.error.HTTPError):  # an error is an answer too
        urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS).close()


def hub_weights(folder: Path) -> Path:
    """Return the weights file of a model folder.

    Raises:
        UserError: it holds none.
    """
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder}: no model.safetensors or pytorch_model.bin there")
