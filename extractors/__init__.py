"""The only code that runs a network. Registry: name -> class, imported when asked for."""

from __future__ import annotations

from utils.registry import Registry

EXTRACTORS = Registry(
    "extractor",
    {
        "clip": "extractors.clip:ClipExtractor",
        "nudenet": "extractors.nudenet:NudeNetExtractor",
    },
)
