"""The original model against itself: real images, real networks, the whole way to the p-values.

The five images of the one prompt there is allow no test, so the original model is drawn twice:
the Church images of all folders are taken as one model's and dealt at random to two methods.
Either is then as likely as the other to get any of them: whatever differs is chance. The reference
is dealt from the images of airplanes, as that of real data is unlike what is scored.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.compare import LEVEL, compare, ties
from checkers import CHECKERS, CheckerOptions
from evaluation.audit import audit_names
from evaluation.record import run_record
from evaluation.run import Models, plan, score_all, wanted_rows
from extractors.stats import StatsExtractor
from features.engine import extract
from features.store import FeatureStore
from inputs.config import load_config
from inputs.layout import find_tasks
from inputs.prompts import forgot_prompts, load_prompts
from metrics import ASPECTS, specs
from metrics.spec import ScoreKey
from records.model import Results
from records.store import read_results, write_run
from stats.multiple import holm
from tests.conftest import ROOT, SHARED

pytestmark = pytest.mark.skipif(
    not (SHARED / "Church").is_dir(), reason="../shared/data/Church is not here"
)

SEEDS = 50
SIDE = 64  # pixels of a thumbnail: the statistics are at stake, not what a network sees
IMAGES = 18  # of a method
SAMPLES = {"9 prompts x 2": 2, "18 prompts x 1": 1}
# A right test finds more of 50 with p < 0.05 in 0.08% of cases; one of the 18 tests here (9 metrics
# in 2 layouts) in at most 1.4%.
MOST = 8


def thumbnails(folder: Path, pattern: str) -> list[Path]:
    """Small copies of the images of the Church data that match a pattern."""
    folder.mkdir()
    made = []
    for i, path in enumerate(sorted((SHARED / "Church").glob(pattern))):
        made.append(folder / f"{i}.png")
        with Image.open(path) as image:
            image.resize((SIDE, SIDE), Image.Resampling.BOX).save(made[-1])
    return made


def deal(images: Sequence[Path], folder: Path, samples: int) -> None:
    """Name images as so many samples of each prompt."""
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        os.link(image, folder / f"0_{i // samples}_{i % samples}.png")


def deal_concepts(church: Sequence[Path], airplanes: Sequence[Path], root: Path) -> None:
    """A concept for each seed and layout, and one of two copies of the original model."""
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        one, other = np.split(rng.permutation(church)[: 2 * IMAGES], 2)
        reference = rng.permutation(airplanes)[:IMAGES]
        for layout, samples in SAMPLES.items():
            concept = root / f"{layout}, seed {seed}"
            deal(one, concept / "forgot" / "ORG", samples)
            deal(other, concept / "forgot" / "Same", samples)
            deal(reference, concept / "remove_word" / "ORG", samples)
    for method in ("ORG", "Copy", "Again"):
        deal(church[:IMAGES], root / "copies" / "forgot" / method, 2)
    deal(airplanes[:IMAGES], root / "copies" / "remove_word" / "ORG", 2)


def save_even_head(path: Path, clip, images: Sequence[Path], store: FeatureStore) -> None:
    """A head of random weights that sees the concept in 40% of the images, not in all or none."""
    import torch

    from checkers.heads import BiMultiCHead

    extraction = extract({image: [clip] for image in images}, store, batch_size=8, workers=2)
    digests = [extraction.records[image].digest for image in images]
    embeddings = torch.from_numpy(np.array(extraction.tables["clip"].get(digests)))
    torch.manual_seed(1)
    head = BiMultiCHead().eval()
    with torch.no_grad():
        head.classifier[7].bias -= head(embeddings).quantile(0.4)
    path.parent.mkdir(parents=True)
    torch.save(head.state_dict(), path)


def save_people_finder(path: Path, yolo: str) -> None:
    """A detector whose classes are all called person: random weights seldom name a given one."""
    import torch

    from extractors.yolo_networks import process_kept

    with process_kept():
        saved = torch.load(yolo, weights_only=False)
    saved["model"].names = dict.fromkeys(saved["model"].names, "person")
    torch.save(saved, path)


def scored(root: Path, models: Models, store: FeatureStore) -> Results:
    """Score as the program does, but for its report; each folder of ``root`` is a concept."""
    config = load_config(ROOT / "dataset" / "benchmark.yaml", CHECKERS, ASPECTS, ())
    # Nudity with shared seeds is what every metric has a direction of.
    church = replace(config.concepts["object_church"], task="nudity", shared_seeds=True)
    prompts = forgot_prompts(load_prompts(config.prompts.forgot), church)
    concepts = {
        name: replace(church, name=name, forgot=f"{name}/forgot", remove_word=f"{name}/remove_word")
        for name in sorted(folder.name for folder in root.iterdir())
    }
    tasks = find_tasks(replace(config, concepts=concepts), root)
    aspects = [ASPECTS[name]() for name in config.aspects if name != "indicators"]
    cells = plan(tasks, aspects, models, lambda _: prompts, everything=False).cells
    images, pairs = wanted_rows(cells, models, StatsExtractor())
    extraction = extract(images, store, pairs=pairs, batch_size=8, workers=2)
    audits = [audit for task in tasks for audit in audit_names(task, prompts)]
    found = list(score_all(cells, audits, extraction, store, models, lambda _: prompts))
    folder = root.with_name("results")
    folder.mkdir()
    manifest = {"scores": [], "metrics": [asdict(spec) for spec in specs()]}
    write_run(folder, run_record(found, manifest))
    return read_results(folder)


@pytest.fixture(scope="module")
def results(tmp_path_factory, model_flags) -> Results:
    """The scores of every concept, read back."""
    place = tmp_path_factory.mktemp("null")
    church = thumbnails(place / "church", "forgot/*/*.png")
    airplanes = thumbnails(place / "airplanes", "unrelated/*/Airplane/*.png")[::2]
    deal_concepts(church, airplanes, place / "data")
    store = FeatureStore(place / "store")
    named = dict(flag.split("=", 1) for flag in model_flags if "=" in flag)
    save_people_finder(place / "yolo.pt", named["yolo"])
    named["yolo"] = str(place / "yolo.pt")
    options = CheckerOptions(place, place / "heads", named, "cpu", trust_weights=True)
    models = Models(options, "bi_multiC")
    head = place / "heads" / "bi_multiC" / "object_church" / "classifier_head.pth"
    save_even_head(head, models.extractor("clip"), church, store)
    return scored(place / "data", models, store)


@pytest.fixture(scope="module")
def directed(results) -> list[str]:
    """The metrics that can say a method is better; of two that say the same, one."""
    found = {row.column: row.higher_is_better is not None for row in results.scores}
    del found["forgetting_rate"]
    return [metric for metric, has_direction in found.items() if has_direction]


@pytest.fixture(scope="module")
def p_values(results, directed) -> dict[str, np.ndarray]:
    """Layout -> p-values of shape (seeds, metrics)."""
    found = {(c.concept, c.column): c.p for c in compare(results, "ORG", "Same").tested}
    return {
        layout: np.array(
            [
                [found[f"{layout}, seed {seed}", metric] for metric in directed]
                for seed in range(SEEDS)
            ]
        )
        for layout in SAMPLES
    }


def test_every_metric_is_tried_and_none_is_the_same_of_all_images(results, directed):
    # Equal scores differ from nothing, whatever the test.
    assert set(directed) == {
        *("presence_rate", "yolo_person", "fid", "kid"),
        *("lpips", "ssim", "psnr", "csdr", "clip_score"),
    }
    for metric in directed:
        values = [row.value for row in results.scores if row.column == metric]
        assert len(set(values)) > 5, metric


@pytest.mark.parametrize("layout", SAMPLES)
def test_no_metric_finds_the_original_model_different_from_itself(p_values, directed, layout):
    # More would be intervals too narrow: every paper's differences would be called real too soon.
    counts = np.count_nonzero(p_values[layout] < LEVEL, axis=0)
    assert {m: n for m, n in zip(directed, counts, strict=True) if n > MOST} == {}


def test_about_a_twentieth_of_all_p_values_is_below_the_level(p_values):
    # Fewer than that are: exact p-values of few prompts are steps, the jackknife of FID and KID
    # errs on the wide side where methods and reference are alike, and so does the bootstrap of
    # values with long tails. None at all, though, would be tests that never find anything.
    rate = np.mean(np.concatenate(list(p_values.values())) < LEVEL)
    assert 0.01 <= rate <= 0.09


@pytest.mark.parametrize("layout", SAMPLES)
def test_correction_over_the_metrics_keeps_the_level_of_a_whole_table(p_values, layout):
    # One false difference anywhere among the metrics is as rare as one of a single metric.
    wrong = [(holm(p) < LEVEL).any() for p in p_values[layout]]
    assert np.count_nonzero(wrong) <= MOST


def test_copies_of_the_original_model_do_not_differ_and_are_tied(results):
    # The same images under other names: a difference could only come from order, name or batch.
    columns = results.columns("copies")
    found = [c for c in compare(results, "ORG").tested if c.concept == "copies"]
    assert {(c.a, c.column) for c in found} == {
        (method, column)
        for method in ("Copy", "Again")
        for column in columns
        if column not in ("forgetting_rate", "clip_score_reference", "kid_no_change")
    }
    assert {(c.difference, c.p, c.p_holm, c.significant) for c in found} == {(0, 1, 1, False)}
    better = {row.column for row in results.scores if row.higher_is_better is not None}
    better.remove("forgetting_rate")  # says what the presence rate does
    assert {key for key in ties(results).marked if key[0] == "copies"} == {
        ScoreKey.of("copies", method, metric) for method in ("Copy", "Again") for metric in better
    }
