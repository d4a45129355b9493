import pytest

from model_files.check import check_file
from utils.errors import UserError

LAYOUT = "bi_multiC/object_church"


@pytest.mark.parametrize("name", ["gone.pth", "x" * 300, "nul\0l"])
def test_a_path_that_leads_nowhere_is_one_line(tmp_path, name):
    with pytest.raises(UserError) as caught:
        check_file(tmp_path / name, "--model inception=x")
    assert str(caught.value).startswith("--model inception=x: ")
