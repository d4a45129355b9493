"""One file an aspect: arrays in, scores out; no image is opened and no device touched.

Registry: aspect, as on the command line -> class.
"""

from __future__ import annotations

from metrics.base import Aspect
from metrics.spec import MetricSpec
from utils.registry import Registry

ASPECTS: Registry[Aspect] = Registry(
    "evaluation aspect",
    {
        "forgetting": "metrics.forgetting:Forgetting",
        "indicators": "metrics.indicators:Indicators",
        "fid": "metrics.fid:Fid",
        "lpips": "metrics.lpips:Lpips",
        "yolo": "metrics.yolo:Yolo",
        "CSDR": "metrics.csdr:Csdr",
        "ssim": "metrics.pixels:Ssim",
        "psnr": "metrics.pixels:Psnr",
    },
)


def specs() -> list[MetricSpec]:
    """Return the specs of every aspect's metrics."""
    return [spec for name in ASPECTS for spec in ASPECTS[name].metrics]
