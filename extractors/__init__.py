"""The only code that runs a network. Registry: name -> class, imported when asked for."""

from __future__ import annotations

from typing import Any

from utils.registry import Registry

EXTRACTORS: Registry[Any] = Registry(
    "extractor",
    {
        "clip": "extractors.clip:ClipExtractor",
        "nudenet": "extractors.nudenet:NudeNetExtractor",
        "clip_score": "extractors.clip:ClipScoreExtractor",
        "inception": "extractors.inception:InceptionExtractor",
        "lpips": "extractors.lpips:LpipsExtractor",
        "pixels": "extractors.pixels:PixelsExtractor",
        "stats": "extractors.stats:StatsExtractor",
        "yolo": "extractors.yolo:YoloExtractor",
    },
)


def model_names() -> tuple[str, ...]:
    """Return the names that ``--model NAME=...`` takes: of extractors whose files can be given."""
    options = (EXTRACTORS[name].option for name in EXTRACTORS)
    return tuple(option for option in options if option)
