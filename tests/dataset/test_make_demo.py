import numpy as np
from PIL import Image

from dataset.make_demo import make
from inputs.images import pair, scan
from tests.conftest import DEMO


def test_the_script_makes_the_committed_images(tmp_path):
    # Else nobody could tell where the demo comes from.
    made = make(tmp_path)
    fresh, committed = (scan(root, recursive=True) for root in (tmp_path / "Face", DEMO))
    assert len(fresh) == len(committed) == made
    for ours, theirs in pair(tmp_path / "Face", fresh, DEMO, committed).pairs:
        with Image.open(ours) as a, Image.open(theirs) as b:
            difference = np.abs(np.asarray(a, int) - np.asarray(b, int)).max()
        assert difference <= 1, ours  # Pillow's filters may round otherwise in another release


def test_the_demo_is_small():
    assert sum(path.stat().st_size for path in scan(DEMO, recursive=True)) < 5_000_000


def test_every_method_has_the_images_of_org():
    for kind in ("forgot", "unrelated"):
        org = DEMO / kind / "ORG"
        for method in (DEMO / kind).iterdir():
            found = pair(org, scan(org, recursive=True), method, scan(method, recursive=True))
            assert (found.missing, found.surplus, found.ambiguous) == ([], [], [])
