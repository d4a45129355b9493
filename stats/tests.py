"""Tests of two methods' means, and of their scores of whole sets.

Those of rates are in ``stats.paired_rates``, of many methods in ``stats.best``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stats.clusters import (
    FEWEST_CLUSTERS,
    SAME_MEANS,
    all_same,
    no_spread,
    numbered,
    resample,
    student_p,
    student_quantile,
)
from stats.intervals import FEW_BLOCKS, SAME_BLOCKS, jackknife_error


@dataclass(frozen=True)
class PairedTest:
    """A difference, its 95% interval, and the two-sided p-value of no difference.

    Of images, the interval leaves 0 out exactly where p is below 0.05.

    Attributes:
        ci_low, ci_high: None where every pair differs by the same.
    """

    difference: float
    ci_low: float | None
    ci_high: float | None
    p: float


def paired_test(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Sequence[Any],
    *,
    raw: ArrayLike | None = None,
    seed: int = 0,
) -> PairedTest | str:
    """Test whether two methods' values of the same images have one mean.

    As ``mean_interval``, on the differences a - b: p is the share of resamples whose t is as far
    from 0 as that of the data, which count as one of them: p is never 0. The interval takes the
    same share on both sides together, so that it leaves out 0 exactly where p is below 0.05. Where
    t is more than three times Student's quantile, p is Student's. Differences that are the same in
    every prompt have no interval, and p is that of their signs.

    Args:
        a, b: float of shape (n,), n > 0.
        clusters: the cluster of each.
        raw: the differences before they were weighted, where they were.

    Returns:
        why there is no test, where there is none: as of ``mean_interval``.
    """
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    which = numbered(clusters)
    groups = int(which.max()) + 1
    if groups >= FEWEST_CLUSTERS and all_same(differences):
        same = float(differences.mean())
        return PairedTest(same, None, None, 0.5 ** (groups - 1) if same else 1.0)
    why = no_spread(differences if raw is None else np.asarray(raw, np.float64), which)
    if why:
        return why
    found = resample(differences, which, seed)
    if found.error == 0:
        return SAME_MEANS
    drawn, t = np.sort(np.abs(found.t)), abs(found.mean / found.error)
    p = (1 + int(np.count_nonzero(drawn >= t))) / (1 + len(drawn))
    if t > found.widest:
        p = student_p(t, groups - 1)
    most = int(np.ceil(0.05 * (1 + len(drawn)))) - 2  # are as far where p < 0.05
    half = found.error * min(float(drawn[-1 - most]), found.widest)
    return PairedTest(found.mean, found.mean - half, found.mean + half, p)


def jackknife_test(
    a: float, b: float, a_replicates: Mapping[int, float], b_replicates: Mapping[int, float]
) -> PairedTest | str:
    """Test whether two scores of whole sets are equal, from their values without the same blocks.

    Scores that are equal, as they are without any block, have p = 1 and no interval.

    Returns:
        why there is no test: fewer than four blocks that both have, or all of them differ by the
        same.
    """
    shared = sorted(a_replicates.keys() & b_replicates.keys())
    if len(shared) < FEWEST_CLUSTERS:
        return FEW_BLOCKS
    values = np.array([a_replicates[block] - b_replicates[block] for block in shared])
    difference, freedom = a - b, len(values) - 1
    if all_same(values):
        return SAME_BLOCKS if difference else PairedTest(0.0, None, None, 1.0)
    error = jackknife_error(values)
    half = student_quantile(freedom) * error
    p = student_p(difference / error, freedom)
    return PairedTest(difference, difference - half, difference + half, p)
