"""Wrong models are found before an image is read, as a user meets them."""

import pytest
import torch

import benchmark
import eval_unlearning
import evaluation.pipeline
from checkers.heads import BiMultiCHead, MultiMultiCHead
from extractors.inception import InceptionExtractor
from tests.conftest import photo
from tests.models import save_clip


@pytest.fixture
def images(tmp_path):
    """A folder of two images, and beside it the reference's."""
    for method in ("ESD", "ORG"):
        folder = tmp_path / "data" / method
        folder.mkdir(parents=True)
        for i in range(2):
            photo(len(method) + i).save(folder / f"0_{i}_0.png")
    return tmp_path / "data" / "ESD"


@pytest.fixture
def unread(monkeypatch):
    """Let no image be read."""

    def extract(*_, **__):
        raise AssertionError("images are read")

    monkeypatch.setattr(evaluation.pipeline, "extract", extract)


@pytest.fixture
def run(tmp_path, capsys):
    """Return a function that runs a program and gives (exit code, stdout, stderr)."""

    def run(program, *arguments):
        places = ("--cache-dir", tmp_path / "cache", "--results-dir", tmp_path / "results")
        code = program.main([str(argument) for argument in (*arguments, "--quiet", *places)])
        return code, *capsys.readouterr()

    return run


def save_head(folder, layout, head):
    path = folder / layout / "classifier_head.pth"
    path.parent.mkdir(parents=True)
    torch.save(head.state_dict(), path)
    return path


@pytest.mark.parametrize("aspects", [["fid"], ["fid", "ssim"], ["all"]])
def test_another_networks_weights_are_an_error_up_front(run, images, unread, alexnet_file, aspects):
    # Every image was decoded first; of `all`, what had been computed was lost.
    data = ("--data-root", images.parent, "--reference", images.parent / "ORG")
    code, _, err = run(
        benchmark, "--evaluation-aspect", *aspects, *data, "--model", f"inception={alexnet_file}"
    )
    assert code == 2
    assert f"{alexnet_file}: not the state dict of FidInceptionV3" in err
    assert len(err.splitlines()) == 1
    assert len(err) < 400


def test_weights_are_checked_until_they_have_given_rows(
    run, images, tmp_path, inception_file, monkeypatch
):
    checked = []
    monkeypatch.setattr(InceptionExtractor, "check", lambda self: checked.append(self.path))
    monkeypatch.setattr(InceptionExtractor, "load", lambda self: None)
    monkeypatch.setattr(
        InceptionExtractor,
        "forward",
        lambda self, batch: torch.rand(len(batch), 2048).numpy(),
    )
    data = ("--data-root", images.parent, "--reference", images.parent / "ORG")
    arguments = ("--evaluation-aspect", "fid", *data, "--model", f"inception={inception_file}")
    for _ in range(2):
        assert run(benchmark, *arguments)[0] == 0
        assert checked == [inception_file]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (MultiMultiCHead(11), None),
        (MultiMultiCHead(2), "size mismatch for output.weight"),
        (BiMultiCHead(), 'MultiMultiCHead: Missing key(s) in state_dict: "attn.0.weight", '),
    ],
)
def test_another_head_is_an_error_up_front(run, images, unread, clip_folder, tmp_path, head, said):
    path = save_head(tmp_path / "weights", "multi_multiC/Object", head)
    where = ("--weights-dir", tmp_path / "weights", "--model", f"clip={clip_folder}")
    arguments = (eval_unlearning, "--concept", "church", "--images", images, *where)
    code, _, err = run(*arguments)
    if said is None:
        assert "images are read" in err
        return
    assert code == 2
    assert str(path) in err
    assert said in err
    assert len(err) < 400


def test_a_clip_whose_embeddings_the_heads_do_not_take_is_an_error_up_front(
    run, images, unread, tmp_path, weights_dir
):
    from transformers import CLIPModel

    folder = save_clip(tmp_path / "small", photo(1))
    config = CLIPModel.from_pretrained(folder).config
    config.projection_dim = 64
    CLIPModel(config).save_pretrained(folder)
    where = ("--weights-dir", weights_dir, "--model", f"clip={folder}")
    code, _, err = run(eval_unlearning, "--concept", "church", "--images", images, *where)
    assert code == 2
    assert "takes embeddings of length 512, the CLIP model gives 64" in err


def test_a_weights_folder_without_the_head_is_an_error_up_front(run, images, unread, tmp_path):
    save_head(tmp_path / "weights", "bi_multiC/object_church", BiMultiCHead())
    where = ("--weights-dir", tmp_path / "weights")
    code, _, err = run(eval_unlearning, "--concept", "church", "--images", images, *where)
    assert code == 2
    assert "no multi_multiC/Object/classifier_head.pth there, which was asked for" in err
    assert "it has bi_multiC/object_church" in err


def test_what_the_manifest_says_of_models_and_heads(
    run, images, tmp_path, clip_folder, weights_dir
):
    import json

    where = ("--weights-dir", weights_dir, "--model", f"clip={clip_folder}")
    for indicator, said in (("bi_multiC", False), ("multi_multiC", "no digest is published")):
        asked = ("--concept", "church", "--indicator", indicator, "--images", images)
        assert run(eval_unlearning, *asked, *where)[0] == 0
        manifest = json.loads((tmp_path / "results" / "eval.json").read_text())["manifest"]
        assert manifest["checkers"]["object_church"]["published"] == said
        assert manifest["models"]["clip"]["published"] == "no digest is published"
