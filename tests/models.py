"""Models of their real architectures with seeded random weights, saved to files.

Weights are drawn so that a network's output hangs on its image: untrained defaults damp every
image to the same features, and every comparison of scores would be of nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn


def save_inception(path: Path) -> Path:
    """The FID's Inception-v3: torchvision's keys are the published file's."""
    torch.manual_seed(0)
    network = torchvision.models.inception_v3(
        num_classes=1008, aux_logits=False, init_weights=False
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    torch.save(network.state_dict(), path)
    return path


def save_alexnet(path: Path) -> Path:
    """AlexNet in torchvision's format, without the classifier that LPIPS does not use."""
    torch.manual_seed(0)
    state = torchvision.models.alexnet().state_dict()
    torch.save({k: v for k, v in state.items() if k.startswith("features.")}, path)
    return path


def save_yolo(path: Path, images: Sequence[Image.Image]) -> Path:
    """A ``yolov8n`` whose scores spread from 0 to 1 on images like ``images`` (of one size)."""
    from extractors.yolo_networks import process_kept

    with process_kept():
        from ultralytics import YOLO

        torch.manual_seed(0)
        model = YOLO("yolov8n.yaml")
    network = model.model
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over what follows
    network.train()
    with torch.no_grad():
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
        network(pixels.permute(0, 3, 1, 2) / 255)
    network.eval()
    for boxes, classes in zip(network.model[-1].cv2, network.model[-1].cv3, strict=True):
        nn.init.normal_(boxes[-1].weight, std=0.3)
        nn.init.normal_(classes[-1].weight, std=0.1)
        nn.init.constant_(classes[-1].bias, -8.5)
    model.ckpt["train_args"] = {"imgsz": 320}  # predict's default then; four times as quick as 640
    model.save(path)
    return path


def export_yolo(weights: Path, path: Path, *, size: int | None = None) -> Path:
    """The same network as ONNX, as ultralytics exports it; that wants the package ``onnx``.

    Args:
        size: edge of the only images it takes; None for any.
    """
    from unittest.mock import patch

    from extractors.yolo_networks import process_kept

    with process_kept():
        from ultralytics import YOLO

        model = YOLO(weights)
    network = model.model.eval().fuse()
    head = network.model[-1]
    head.export, head.format, head.dynamic = True, "onnx", size is None
    free = {"images": {0: "batch", 2: "height", 3: "width"}, "output0": {0: "batch", 2: "anchors"}}
    finish = "torch.onnx._internal.torchscript_exporter.onnx_proto_utils._add_onnxscript_fn"
    # The graph is whole before that step, which adds operators of one's own.
    with patch(finish, lambda graph, _: graph), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            torch.zeros(1, 3, size or 320, size or 320),
            str(path),
            dynamo=False,
            input_names=["images"],
            output_names=["output0"],
            dynamic_axes=None if size else free,
        )
    own = {"task": "detect", "stride": "32", "imgsz": "[320, 320]", "names": str(network.names)}
    path.write_bytes(path.read_bytes() + metadata(own))
    return path


def metadata(said: Mapping[str, str]) -> bytes:
    """What an ONNX file says of itself: to be put behind it, as its fields may stand anywhere."""
    pairs = ((_field(1, key.encode()), _field(2, text.encode())) for key, text in said.items())
    return b"".join(_field(14, b"".join(pair)) for pair in pairs)  # ModelProto.metadata_props


def _field(number: int, content: bytes) -> bytes:
    """A field of a protobuf message: its tag, its length, itself."""
    length, prefix = len(content), bytes([number << 3 | 2])
    while length > 127:
        prefix += bytes([length & 127 | 128])
        length >>= 7
    return prefix + bytes([length]) + content


def save_clip(folder: Path, example: Image.Image, patch: int = 32) -> Path:
    """A whole CLIP of two layers, its tokenizer of single bytes; ``example`` scores above 0."""
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(patch)
    bytes_ = _byte_symbols()
    symbols = [*bytes_, *(f"{b}</w>" for b in bytes_), "<|startoftext|>", "<|endoftext|>"]
    ids = {symbol: i for i, symbol in enumerate(symbols)}
    config = CLIPConfig(
        vision_config={"num_hidden_layers": 2, "patch_size": patch},
        text_config={
            "num_hidden_layers": 2,
            "vocab_size": len(ids),
            "bos_token_id": ids["<|startoftext|>"],
            "eos_token_id": ids["<|endoftext|>"],
        },
    )
    model = CLIPModel(config).eval()
    tokenizer = CLIPTokenizer(vocab=ids, merges=[])
    image = CLIPImageProcessorPil()(images=example, return_tensors="pt")
    text = tokenizer(["a white house on a green hill, seen from the sea"], return_tensors="pt")
    with torch.no_grad():
        if model(**text, **image).logits_per_image < 0:
            model.text_projection.weight *= -1  # a CLIP score is cut off at 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _byte_symbols() -> list[str]:
    """The printable stand-ins that byte-level BPE uses for the 256 bytes."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (chr(256 + n) for n in range(256 - len(kept)))
    return [chr(b) if b in kept else next(others) for b in range(256)]
