"""What several tests at once do to their p-values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def holm(p: ArrayLike) -> np.ndarray:
    """Adjust p-values of several tests by Holm's step-down rule (Scand. J. Stat. 6, 1979).

    Not by ``statsmodels.stats.multitest.multipletests``, which collects garbage at every call: a
    tenth of a second each time in a process that holds results.
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values)
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
