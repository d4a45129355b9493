import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from features.arrow import numbers, strings
from tests.conftest import ROOT


@pytest.mark.parametrize("texts", [[], ["a"], ["", "é", "x" * 300, "<&>"]])
def test_strings_are_those_of_pyarrow(texts):
    ours = strings(texts)
    ours.validate(full=True)
    assert ours.equals(pa.array(texts, pa.string()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_those_of_pyarrow(dtype):
    values = np.random.default_rng(0).random((3, 4)).astype(dtype)
    ours = numbers(values[:, ::2])  # not contiguous
    ours.validate(full=True)
    assert ours.equals(pa.array(values[:, ::2].ravel()))
    assert len(numbers(np.empty((0, 4), dtype))) == 0


def test_a_name_that_is_no_utf8_is_kept_readable():
    assert strings([b"caf\xe9".decode(errors="surrogateescape")])[0].as_py() == "caf\\udce9"


def test_pandas_is_not_imported():
    code = (
        "import sys, numpy as np; from features.arrow import numbers, strings; "
        "strings(['a']); numbers(np.zeros(2)); sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
