"""The heads against the published formulas, written out again in float64 numpy."""

import os
import pickle

import numpy as np
import pytest
import torch
from scipy.special import erf, expit, softmax

from checkers.heads import BiMultiCHead, MultiMultiCHead, apply_head, load_head
from tests.conftest import SHARED
from utils.errors import UserError


def relu(x):
    return np.maximum(x, 0)


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def formula(state):
    """Return (linear, layer_norm) that look their weights up in a state dict."""
    state = {key: value.double().numpy() for key, value in state.items()}

    def linear(x, key):
        return x @ state[f"{key}.weight"].T + state[f"{key}.bias"]

    def layer_norm(x, key):
        centred = x - x.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
        return scaled * state[f"{key}.weight"] + state[f"{key}.bias"]

    return state, linear, layer_norm


def bi_formula(state, x):
    _, linear, norm = formula(state)
    a = expit(linear(relu(linear(x, "attention.0")), "attention.2"))
    h = relu(linear(norm(x * a, "classifier.0"), "classifier.1"))
    return linear(relu(linear(h, "classifier.4")), "classifier.7")


def multi_formula(state, x):
    state, linear, norm = formula(state)
    z = x * expit(linear(relu(linear(x, "attn.0")), "attn.2"))
    # Self-attention of one token: the weights are 1, so it is value and output projection.
    value = z @ state["multihead.in_proj_weight"][1024:].T + state["multihead.in_proj_bias"][1024:]
    m = linear(value, "multihead.out_proj")
    g = expit(linear(z, "gate.0"))
    f = g * z + (1 - g) * m
    f = f + linear(gelu(linear(norm(f, "feedforward.0"), "feedforward.1")), "feedforward.4")
    h = gelu(linear(norm(f, "mlp1.0"), "mlp1.1")) + f
    h = gelu(linear(gelu(linear(h, "mlp2.0")), "mlp2.3"))
    return linear(h, "output")


@pytest.fixture
def embeddings():
    return np.random.default_rng(0).normal(0, 0.5, (70, 512)).astype(np.float32)


@pytest.mark.parametrize(
    ("head", "reference"),
    [
        (lambda: BiMultiCHead(), bi_formula),
        (lambda: MultiMultiCHead(2), multi_formula),
        (lambda: MultiMultiCHead(11), multi_formula),
        (lambda: MultiMultiCHead(129), multi_formula),
    ],
)
def test_logits_are_the_formulas_for_any_batch(tmp_path, embeddings, head, reference):
    # Dropout left on, as in the published script, flips up to 12% of decisions.
    torch.manual_seed(3)
    path = tmp_path / "classifier_head.pth"
    torch.save(head().state_dict(), path)
    loaded = load_head(head(), path)
    expected = reference(loaded.state_dict(), embeddings.astype(np.float64))
    assert np.std(expected) > 1e-3
    for size in (1, 3, 64):
        parts = [apply_head(loaded, embeddings[i : i + size], path) for i in range(0, 70, size)]
        np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["object_church", "style_vangogh"])
def test_published_heads_load_and_follow_the_formula(name, embeddings):
    path = SHARED / "heads" / name / "classifier_head.pth"
    if not path.is_file():
        pytest.skip("../shared/data/heads is not here")
    head = load_head(BiMultiCHead(), path)
    assert not head.training
    expected = bi_formula(head.state_dict(), embeddings.astype(np.float64))
    np.testing.assert_allclose(apply_head(head, embeddings, path), expected, atol=1e-4)


class Payload:
    """Unpickling this makes a folder: proof that code in the file was run."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (self.proof,)


@pytest.mark.parametrize("save", [torch.save, lambda x, p: p.write_bytes(pickle.dumps(x))])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, save):
    save({"output.weight": Payload(str(tmp_path / "proof"))}, tmp_path / "head.pth")
    with pytest.raises(UserError, match=r"refused.*nothing in it was executed"):
        load_head(MultiMultiCHead(2), tmp_path / "head.pth")
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize(
    "content",
    [
        MultiMultiCHead(11).state_dict(),  # another number of classes
        BiMultiCHead().state_dict(),  # another head
        {**MultiMultiCHead(2).state_dict(), "extra": torch.ones(1)},
        [1, 2],
        torch.ones(3),
    ],
)
def test_another_heads_file_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "head.pth")
    with pytest.raises(UserError, match=r"head\.pth: not (the|a) state dict"):
        load_head(MultiMultiCHead(2), tmp_path / "head.pth")


def test_embeddings_of_another_length_are_refused(tmp_path):
    with pytest.raises(UserError, match="length 512, the CLIP model gives 768"):
        apply_head(BiMultiCHead().eval(), np.zeros((1, 768), np.float32), tmp_path)


def test_a_head_that_gives_nan_is_refused(tmp_path):
    head = BiMultiCHead().eval()
    head.classifier[7].bias.data.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite"):
        apply_head(head, np.zeros((1, 512), np.float32), tmp_path)


def test_softmax_and_sigmoid_are_scipys():
    from checkers.bi_multiC import sigmoid
    from checkers.multi_multiC import softmax as ours

    x = np.random.default_rng(1).normal(0, 300, (9, 5))
    np.testing.assert_allclose(ours(x), softmax(x, axis=1), atol=1e-15)
    np.testing.assert_allclose(sigmoid(x), expit(x), rtol=1e-12)
