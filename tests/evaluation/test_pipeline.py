"""The way from folders to results."""

import pytest

from evaluation.pipeline import open_store
from evaluation.run_config import RunConfig
from utils.errors import UserError


def test_a_store_that_cannot_be_written_will_do_if_it_has_rows(tmp_path, monkeypatch):
    # It may hold every row; the engine tries it before it computes one that is missing.
    def refused(*_):
        raise UserError("cannot be written")

    monkeypatch.setattr("evaluation.pipeline.check_writable", refused)
    run = RunConfig(cache_dir=tmp_path)
    with pytest.raises(UserError, match="cannot be written"), open_store(run):
        pass
    (tmp_path / "nudenet-1").mkdir()
    (tmp_path / "nudenet-1" / "part-1.parquet").touch()
    with open_store(run) as store:
        assert store.root == tmp_path


def test_a_store_that_is_not_to_be_kept_goes_with_the_run(tmp_path):
    with open_store(RunConfig(cache_dir=tmp_path, keep_features=False)) as store:
        assert store.root.is_dir()
        assert store.root != tmp_path
    assert not store.root.exists()
