"""Numbers about folders of images, one call each.

Every function takes the fields of ``RunConfig`` by name too: ``models``, ``weights_dir``,
``cache_dir``, ``device``, ``group_by``, ``progress`` ...
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.audit import shown
from evaluation.pipeline import evaluate, find_models, open_store, prepare, score
from evaluation.run_config import RunConfig, settle
from extractors.clip import ClipScoreExtractor
from features.engine import extract
from features.text import ClipText
from inputs.images import scan
from metrics import csdr
from metrics.base import Rows, Score, mean_score
from records.results import Results
from utils.device import cores, default_batch_size
from utils.errors import UserError

Folder = str | os.PathLike[str]


def presence(
    folders: Folder | Sequence[Folder],
    *,
    indicator: str = "multi_multiC",
    concept: str = "Nudity",
    **more: Any,
) -> Results:
    """Return in which share of the images of each folder a checker still sees a concept.

    Args:
        folders: one a method; a folder called ``ORG`` is the original model's.

    Raises:
        UserError: no such checker, concept or folder, or the checker's model is missing.

    >>> presence(["out/ORG", "out/ESD"], indicator="nudenet", concept="Face")  # doctest: +SKIP
    """
    several = [folders] if isinstance(folders, str | os.PathLike) else folders
    return evaluate(
        RunConfig(
            aspects=("forgetting",),
            images=tuple(map(Path, several)),
            indicator=indicator,
            concepts=(concept,),
            **more,
        )
    )


def fid(images: Folder, reference: Folder, **more: Any) -> Score:
    """Return the FID of two folders (clean-fid's), lower is closer.

    Raises:
        UserError: a folder is missing or empty, or Inception's weights are missing.
    """
    return _against("fid", "fid", images, reference, more)


def kid(images: Folder, reference: Folder, **more: Any) -> Score:
    """Return the unbiased KID of two folders, lower is closer."""
    return _against("fid", "kid", images, reference, more)


def lpips(images: Folder, reference: Folder, **more: Any) -> Score:
    """Return the mean LPIPS of pairs of equal names, lower is closer."""
    return _against("lpips", "lpips", images, reference, more)


def ssim(images: Folder, reference: Folder, **more: Any) -> Score:
    """Return the mean SSIM of pairs of equal names, higher is closer."""
    return _against("ssim", "ssim", images, reference, more)


def psnr(images: Folder, reference: Folder, **more: Any) -> Score:
    """Return the mean PSNR in dB of pairs of equal names, higher is closer."""
    return _against("psnr", "psnr", images, reference, more)


def _against(
    aspect: str, metric: str, images: Folder, reference: Folder, more: Mapping[str, Any]
) -> Score:
    run = RunConfig(aspects=(aspect,), images=(Path(images),), reference=Path(reference), **more)
    scored = score(find_models(prepare(run)))
    return next(s for result in scored.scores for s in result.scores if s.metric == metric)


def clip_score(images: Folder, prompts: str | Mapping[str, str], **more: Any) -> Score:
    """Return the mean CLIP score, 100 max(cos, 0), of images and their prompts; higher fits better.

    Args:
        prompts: file name -> its prompt; or one prompt for all.

    Raises:
        UserError: an image has no prompt, or the model is missing.

    >>> clip_score("out/ESD", {"0_0_0.png": "a church in a valley"})  # doctest: +SKIP
    """
    run = settle(RunConfig(images=(Path(images),), **more)).run
    paths = scan(Path(images), recursive=run.recursive)
    lost = [] if isinstance(prompts, str) else [p.name for p in paths if p.name not in prompts]
    if lost:
        raise UserError(f"{images}: {len(lost)} images have no prompt: {', '.join(lost[:5])}")
    extractor = run.checker_options.extractor(ClipScoreExtractor)
    with open_store(run) as store:
        extraction = extract(
            {path: [extractor] for path in paths},
            store,
            batch_size=run.batch_size or default_batch_size(run.device),
            workers=run.workers or cores(),
            progress=run.progress,
        )
        errors = {path: extraction.error(path, extractor.name) for path in paths}
        good = [path for path in paths if not errors[path]]
        digests = [extraction.records[path].digest or "" for path in good]
        texts = [prompts if isinstance(prompts, str) else prompts[path.name] for path in good]
        embedded = ClipText(extractor).embed(texts, store)
        values = csdr.clip_score(extraction.tables[extractor.name].get(digests), embedded)
    names = [path.name for path in good]
    found = mean_score("clip_score", Rows(names, values), [""] * len(names))
    unread = [f"{path.name} ({error})" for path, error in errors.items() if error]
    return found.warn(f"unreadable: {shown(unread)}") if unread else found
