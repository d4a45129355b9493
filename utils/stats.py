"""Statistics of scores."""

from __future__ import annotations

from statistics import NormalDist


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a rate.

    Written out because importing scipy.stats or statsmodels takes longer than a cached run; the
    tests hold it against both. Source: E. B. Wilson, JASA 22 (1927).

    Returns:
        (low, high), within [0, 1].

    Raises:
        ValueError: ``n`` is not positive, or ``successes`` not in 0..n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"no interval for {successes} of {n}")
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    centre = (successes + z2 / 2) / (n + z2)
    half = (z2 * successes * (n - successes) / n + z2 * z2 / 4) ** 0.5 / (n + z2)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high
