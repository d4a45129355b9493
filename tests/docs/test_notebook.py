"""The notebook of the documentation, run from top to bottom."""

import nbformat
from nbclient import NotebookClient

from tests.conftest import ROOT


def test_every_cell_of_the_notebook_runs(tmp_path, monkeypatch):
    # The notebook is the promise of what a user may type: a cell that fails breaks it.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IGMU_CACHE_DIR", str(tmp_path / "cache"))
    notebook = nbformat.read(ROOT / "docs" / "python.ipynb", as_version=4)
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    shown = [
        output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    presence, _, run, frame = shown[1:]
    assert "blurred face" in presence
    assert "blurred face" in run
    assert "presence_rate" in frame
    assert (tmp_path / "results" / "manifest.json").is_file()
