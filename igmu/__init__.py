"""Did the model unlearn it, and what broke? The toolkit as a library.

>>> import igmu
>>> igmu.fid("out/ESD", "out/ORG")  # doctest: +SKIP
>>> igmu.presence(["out/ORG", "out/ESD"], indicator="nudenet", concept="Face")  # doctest: +SKIP
>>> run = igmu.RunConfig(data_root="data", aspects=["forgetting", "fid"])  # doctest: +SKIP
>>> igmu.evaluate(run)  # doctest: +SKIP

Importing it is cheap: each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from utils.version import VERSION
except ImportError as error:  # its rooms are top-level packages: metrics, utils and so on
    raise ImportError(
        f"igmu: {error}; another package of that name comes first in sys.path (is there a folder "
        "utils/ where you are?): work from another folder, or rename it"
    ) from error

if TYPE_CHECKING:
    from evaluation.pipeline import evaluate
    from evaluation.run_config import RunConfig
    from igmu.folders import clip_score, fid, kid, lpips, presence, psnr, ssim
    from metrics.base import Score
    from records.model import Results
    from records.store import read_results as load_results
    from utils.errors import UserError

__version__ = VERSION

__all__ = [
    "Results",
    "RunConfig",
    "Score",
    "UserError",
    "__version__",
    "clip_score",
    "evaluate",
    "fid",
    "kid",
    "load_results",
    "lpips",
    "presence",
    "psnr",
    "ssim",
]

_PLACES = {
    "Results": "records.model:Results",
    "RunConfig": "evaluation.run_config:RunConfig",
    "Score": "metrics.base:Score",
    "UserError": "utils.errors:UserError",
    "evaluate": "evaluation.pipeline:evaluate",
    "load_results": "records.store:read_results",
} | {
    name: f"igmu.folders:{name}"
    for name in ("clip_score", "fid", "kid", "lpips", "presence", "psnr", "ssim")
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module igmu has no attribute {name}")
    module, _, attribute = _PLACES[name].partition(":")
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return __all__
