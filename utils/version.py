"""The toolkit's own version."""

from __future__ import annotations

import subprocess
from pathlib import Path

VERSION = "0.2.0"


def commit() -> str | None:
    """Return the commit of this checkout, with ``+`` where files differ; None elsewhere."""
    here = Path(__file__).parent.parent
    if not (here / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty=+"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()
