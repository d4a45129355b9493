from pathlib import Path

import pytest
import torch
from torch import nn


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The file of a small state dict."""
    torch.save(nn.Linear(40, 30).state_dict(), tmp_path / "x.pth")
    return tmp_path / "x.pth"
