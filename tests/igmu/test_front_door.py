"""The toolkit as a library: what a notebook calls."""

import subprocess
import sys
import time

import numpy as np
import pytest

import igmu
from metrics.csdr import clip_score as formula
from tests.conftest import DEMO, ROOT, photo


@pytest.fixture
def pair(make_images):
    """Two folders of 12 pairs, the second one blurred by resizing."""
    one = make_images("ORG", 12)
    two = one.parent / "ESD"
    two.mkdir()
    for i, path in enumerate(sorted(one.iterdir())):
        image = photo(i)
        image.resize((16, 12)).resize(image.size).save(two / path.name)
    return two, one


@pytest.fixture
def options(tmp_path):
    return {"cache_dir": tmp_path / "cache", "progress": False}


def test_importing_it_is_cheap_and_loads_no_network():
    code = "import sys, igmu; sys.exit(bool({'torch', 'numpy', 'PIL'} & sys.modules.keys()))"
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert time.monotonic() - started < 2  # of which python itself is the most, on a busy machine


def test_every_name_is_there_and_a_wrong_one_is_an_attribute_error():
    assert all(getattr(igmu, name) is not None for name in igmu.__all__)
    assert dir(igmu) == igmu.__all__
    with pytest.raises(AttributeError, match="no attribute ffid"):
        igmu.ffid  # noqa: B018


def test_ssim_of_two_folders_is_one_call(pair, options):
    from skimage.metrics import structural_similarity

    score = igmu.ssim(*map(str, pair), **options)
    expected = structural_similarity(
        np.asarray(photo(0)),
        np.asarray(photo(0).resize((16, 12)).resize((64, 48))),
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert score.n == 12
    assert score.per_image["0_0_0.png"] == pytest.approx(expected, abs=0.02)  # another edge
    assert float(score) == pytest.approx(np.mean(list(score.per_image.values())))
    assert float(igmu.psnr(pair[1], pair[1], **options)) == 100


def test_fid_kid_and_lpips_are_the_benchmarks(pair, options, inception_file, alexnet_file):
    models = {"inception": str(inception_file), "lpips_backbone": str(alexnet_file)}
    alone = {
        "fid": igmu.fid(*pair, models=models, **options),
        "kid": igmu.kid(*pair, models=models, **options),
        "lpips": igmu.lpips(*pair, models=models, **options),
    }
    results = igmu.evaluate(
        igmu.RunConfig(
            aspects=["fid", "lpips"], images=pair[:1], reference=pair[1], models=models, **options
        )
    )
    together = {row.metric: row.value for row in results.scores}
    assert {name: score.value for name, score in alone.items()} == {
        name: together[name] for name in alone
    }


def test_a_clip_score_of_ones_own_prompts_is_100_cosines(make_images, options, clip_folder):
    import torch
    from PIL import Image
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizerFast

    folder = make_images("out", 3)
    prompts = {f"0_0_{i}.png": f"a photo of {what}" for i, what in enumerate("abc")}
    score = igmu.clip_score(folder, prompts, models={"clip_score": str(clip_folder)}, **options)
    model = CLIPModel.from_pretrained(clip_folder).eval()
    edge = model.config.vision_config.image_size
    pixels = CLIPImageProcessorPil(size={"shortest_edge": edge}, crop_size=edge)(
        [Image.open(folder / name) for name in prompts], return_tensors="pt"
    )
    tokens = CLIPTokenizerFast.from_pretrained(clip_folder)(
        list(prompts.values()), padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        images = model.get_image_features(**pixels).pooler_output.numpy()
        texts = model.get_text_features(**tokens).pooler_output.numpy()
    expected = formula(images, texts)
    np.testing.assert_allclose(list(score.per_image.values()), expected, atol=1e-3)
    with pytest.raises(igmu.UserError, match="1 images have no prompt: 0_0_2.png"):
        igmu.clip_score(folder, dict(list(prompts.items())[:2]), **options)


def test_presence_of_a_face_in_folders_is_one_call(options):
    folders = [DEMO / "forgot" / name for name in ("ORG", "DemoBlur")]
    results = igmu.presence(folders, indicator="nudenet", concept="Face", **options)
    rates = {row.method: row.value for row in results.scores if row.metric == "presence_rate"}
    assert rates == {"ORG": 1, "DemoBlur": 0}


def test_a_recorded_run_is_read_back_as_it_was(tmp_path, options):
    run = igmu.RunConfig(
        aspects="ssim", data_root=str(DEMO.parent), results_dir=tmp_path / "r", **options
    )
    made = igmu.evaluate(run)
    assert igmu.load_results(tmp_path / "r").scores == made.scores


def test_what_is_wrong_is_an_error_with_one_line():
    with pytest.raises(igmu.UserError, match="did you mean fid"):
        igmu.evaluate(igmu.RunConfig(aspects=["fdi"]))
    with pytest.raises(igmu.UserError, match="gone: no such folder"):
        igmu.fid("gone", "gone")
