"""Model folders of the Hugging Face hub: given by path, in the hub's cache, or downloaded."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from model_files.check import check_file, fault
from model_files.digests import file_sha256
from model_files.download import TIMEOUT_SECONDS, check_downloads
from utils.errors import MissingModelError, UserError, reason

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_MEGABYTES = {"openai/clip-vit-base-patch32": 605, "openai/clip-vit-base-patch16": 599}


def find_hub_model(option: str, model: str, files: tuple[str, ...]) -> Path:
    """Return the folder of a Hugging Face model, given by path or by id.

    A path is used as it is. An id is looked for in the hub's cache (``HF_HOME``) and downloaded
    there when missing. The weights are ``model.safetensors`` or, where there is none,
    ``pytorch_model.bin``.

    Args:
        option: the name on the left of ``--model NAME=...``, for messages.
        files: further files that are taken where the model has them.

    Raises:
        MissingModelError: not on this machine, and not downloaded.
        UserError: a folder that holds no model, or the text is neither path nor id.
    """
    folder = Path(model).expanduser()
    if os.path.isdir(folder):
        check_file(folder / "config.json", f"--model {option}={model}: config.json")
        hub_weights(folder)
        return folder
    if os.path.exists(folder) or model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise UserError(f"--model {option}={model}: neither a folder nor a hub id (owner/name)")

    from huggingface_hub import constants

    try:
        with suppress(FileNotFoundError):
            return _fetch(model, files, local=True)
        return _download(model, files)
    except Exception as error:  # the client lets those of its HTTP library through
        url, why = f"https://huggingface.co/{model}", reason(error)
        raise MissingModelError(
            f"model {option}={model} is not on this machine and cannot be downloaded "
            f"({why}); on a machine with internet run `python prefetch.py` and copy "
            f"{constants.HF_HUB_CACHE} here, or get {url} and give its folder with "
            f"--model {option}=FOLDER",
            url,
            f"{constants.HF_HUB_CACHE}/models--{model.replace('/', '--')}",
            why,
            f"{option}={model}",
            _MEGABYTES.get(model),
        ) from error


def _download(model: str, files: tuple[str, ...]) -> Path:
    """Download a model; the hub's client tries again what may pass.

    Raises:
        OSError: the weights that came are not what the hub publishes, and are deleted.
    """
    import requests
    from huggingface_hub import constants

    check_downloads()
    if constants.is_offline_mode():
        raise OSError("HF_HUB_OFFLINE is set")
    # Where there is no network the hub's client would try for half a minute a file.
    requests.head(constants.ENDPOINT, timeout=TIMEOUT_SECONDS)
    folder = _fetch(model, files, local=False)
    weights = hub_weights(folder)
    wrong = _wrong(weights)
    if wrong:
        weights.resolve().unlink()
        weights.unlink(missing_ok=True)
        raise OSError(f"what came is {wrong}")
    return folder


def _fetch(model: str, files: tuple[str, ...], *, local: bool) -> Path:
    """Return the folder in the hub's cache, its weights the last that came.

    Raises:
        OSError: a needed file is missing.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    def fetch(name: str) -> Path | None:
        try:
            return Path(hf_hub_download(model, name, local_files_only=local))
        except LocalEntryNotFoundError:
            if not local:
                raise  # the connection broke: do not go on with half a model
        except EntryNotFoundError:
            pass  # the repository has none
        return None

    config = fetch("config.json")
    for name in files:
        fetch(name)
    if config is None or not any(map(fetch, _WEIGHTS)):
        raise FileNotFoundError(f"no config.json, or no {' or '.join(_WEIGHTS)}")
    return config.parent


def hub_weights(folder: Path) -> Path:
    """Return the weights file of a model folder.

    Raises:
        UserError: it holds none that can be read.
    """
    path = next((folder / name for name in _WEIGHTS if os.path.lexists(folder / name)), None)
    if path is None:
        raise UserError(f"{folder}: no {' or '.join(_WEIGHTS)} there")
    check_file(path, str(path))
    return path


def as_published(weights: Path) -> bool | str:
    """Return what the manifest says of a weights file: whether it is what the hub published.

    The hub's cache names such a file by its SHA-256; a text where the name does not tell.

    Raises:
        UserError: the file in the cache is another than its name says, or is none.
    """
    cached = _named_by_digest(weights)
    wrong = _wrong(weights)
    if wrong:
        mend = "; delete it, and it is downloaded anew" if cached else ""
        raise UserError(f"{weights}: {wrong}{mend}")
    return cached or "no digest is published"


def _named_by_digest(weights: Path) -> bool:
    return re.fullmatch("[0-9a-f]{64}", weights.resolve().name) is not None


def _wrong(weights: Path) -> str | None:
    """What shows a weights file to be none, or another than the hub published."""
    if _named_by_digest(weights) and file_sha256(weights) != weights.resolve().name:
        return fault(weights) or "not the file that the hub published (another SHA-256)"
    return fault(weights)
