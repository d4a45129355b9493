import hashlib

import pytest

from model_files.digests import file_sha256

LAYOUT = "bi_multiC/object_church"


@pytest.mark.parametrize("content", [b"", b"weights", bytes(range(256)) * 8192])
def test_a_files_digest_is_its_sha256(tmp_path, content):
    # Rows are keyed by it, and others compare it with sha256sum's; an empty file cannot be mapped.
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
