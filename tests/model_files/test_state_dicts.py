import pytest
import torch
from torch import nn

from model_files.state_dicts import load_state_dict, load_strictly
from utils.errors import UserError

LAYOUT = "bi_multiC/object_church"


def test_a_flipped_bit_is_refused_when_loaded(state):
    # torch does not check the archive's sums: the network would have another weight.
    damaged = bytearray(state.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    state.write_bytes(damaged)
    torch.load(state, weights_only=True)  # it does not see it
    with pytest.raises(UserError, match=r"refused.*checksum"):
        load_state_dict(state)


def test_torchs_advice_to_run_what_is_in_a_file_is_not_passed_on(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"\x80\x02}cos\nsystem\n.")
    with pytest.raises(UserError, match="more than tensors") as caught:
        load_state_dict(tmp_path / "x.pth")
    assert "weights_only" not in str(caught.value)


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(1 << 20))
    with pytest.raises(UserError, match="compressed"):
        load_state_dict(tmp_path / "x.pth")


def test_what_torch_says_of_many_tensors_is_cut(tmp_path):
    # A file of another network gave 20,000 characters.
    module = nn.Sequential(*(nn.Linear(2, 2) for _ in range(50)))
    wrong = {f"{'x' * 1000}{i}": torch.zeros(1) for i in range(50)}
    with pytest.raises(UserError) as caught:
        load_strictly(module, wrong, tmp_path / "x.pth")
    assert 'not the state dict of Sequential: Missing key(s) in state_dict: "0.weight", ' in str(
        caught.value
    )
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weight": torch.zeros(2, 3)}, "size mismatch for weight"),
        ({"weight": torch.tensor(1.0)}, "size mismatch for weight"),
        ({"bias": torch.zeros(3, dtype=torch.int64)}, 'the parameter named "bias"'),
        ({"bias": [1.0, 2.0, 3.0]}, "more than tensors by name"),
        ({"more": torch.zeros(1)}, 'Unexpected key(s) in state_dict: "more"'),
        ({7: torch.zeros(1)}, "more than tensors by name"),
        ({"bias": torch.tensor([0, torch.nan, 0])}, "bias holds values that are not finite"),
        ({"weight": torch.full((3, 2), torch.inf)}, "weight holds values that are not finite"),
        ({"bias": torch.zeros(3, device="meta")}, "not the state dict of Linear"),
        ({"weight": torch.zeros(3, 2).to_sparse()}, "not the state dict of Linear"),
    ],
)
def test_what_is_wrong_with_a_tensor_is_said(tmp_path, change, said):
    with pytest.raises(UserError, match=r"x\.pth") as caught:
        load_strictly(nn.Linear(2, 3), nn.Linear(2, 3).state_dict() | change, tmp_path / "x.pth")
    assert said in str(caught.value)


def test_a_file_older_than_the_count_of_batches_is_loaded(tmp_path):
    # Inception's is: PyTorch 0.4 began to count, and the count plays no part.
    norm = nn.BatchNorm1d(2)
    older = {k: v for k, v in norm.state_dict().items() if k != "num_batches_tracked"}
    assert not load_strictly(norm, older, tmp_path / "x.pth").training
