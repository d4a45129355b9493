"""What several tests at once do to their p-values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def holm(p: ArrayLike) -> np.ndarray:
    """Adjust p-values of several tests by Holm's step-down rule (Scand. J. Stat. 6, 1979)."""
    from statsmodels.stats.multitest import multipletests

    return multipletests(p, method="holm")[1]
