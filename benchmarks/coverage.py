"""How often the intervals and tests of scores are right, in data sets whose truth is known.

python benchmarks/coverage.py            # the tables of docs/statistics.md, some fifteen minutes
python benchmarks/coverage.py --quick    # does it work? seconds
python benchmarks/coverage.py --only ties

Prints Markdown. Every data set is drawn from the seed, so a table can be made again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from analysis.effective import effective_rate
from stats import best
from stats.best import may_be_best, untestable
from stats.intervals import mean_interval, rate_interval
from stats.paired_rates import FEWEST_PROMPTS, paired_rates
from stats.tests import paired_test

LAYOUTS = [(4, 5), (4, 20), (6, 1), (6, 5), (10, 5), (10, 20), (20, 1), (20, 5), (20, 20)]
LAYOUTS += [(50, 1), (50, 5), (250, 1), (250, 5)]  # prompts, samples of each
ALIKE = (0.0, 0.5, 1.0)  # correlation of a prompt's samples
RATES = (0.005, 0.02, 0.1, 0.5, 0.98)
PAIRS = ((0.02, 0.005), (0.1, 0.02), (0.3, 0.1), (0.9, 0.3), (0.98, 0.5), (0.98, 0.02))
RARE = (0.02, 0.05, 0.1, 0.3)  # share of images whose value is not 0
METHODS = (2, 3, 10, 20)
UNLIKE = ((0.0, 0.2), (0.2, 0.5), (0.0, 1.0))  # correlations of two methods' samples


def shown(rng: np.random.Generator, rate: float, layout: tuple[int, int], alike: float):
    """Images that show something: bool of shape layout, the prompts' own rates from a beta."""
    prompts, samples = layout
    if alike == 1:
        return np.repeat(rng.random((prompts, 1)) < rate, samples, axis=1)
    spread = (1 - alike) / alike if alike else np.inf
    own = rng.beta(rate * spread, (1 - rate) * spread, prompts) if alike else np.full(prompts, rate)
    return rng.random(layout) < own[:, None]


def values(rng: np.random.Generator, kind: str, layout: tuple[int, int]) -> np.ndarray:
    """Values of images, half of the variance between prompts: float of shape layout."""
    between, within = rng.normal(size=(layout[0], 1)), rng.normal(size=layout)
    normal = (between + within) / np.sqrt(2)
    return {"normal": normal, "skewed": np.exp(normal / 2), "very skewed": np.exp(normal)}[kind]


TRUTH = {"normal": 0.0, "skewed": np.exp(1 / 8), "very skewed": np.exp(1 / 2)}


def prompts_of(layout: tuple[int, int]) -> np.ndarray:
    """The prompt of each image."""
    return np.repeat(np.arange(layout[0]), layout[1])


def share(there: Sequence[bool]) -> float:
    """In percent; nan of nothing."""
    return 100 * float(np.mean(there)) if len(there) else float("nan")


def rates(rng: np.random.Generator, sets: int) -> Iterator[list[str]]:
    """Coverage of a rate's interval."""
    yield ["prompts x samples", "covered, lowest", "mean", "mean width"]
    for layout in LAYOUTS:
        covered, widths = [], []
        for rate, alike in product(RATES, ALIKE if layout[1] > 1 else (0.0,)):
            found = [
                rate_interval(shown(rng, rate, layout, alike).ravel(), prompts_of(layout))
                for _ in range(sets)
            ]
            covered.append(share([one.low <= rate <= one.high for one in found]))
            widths += [100 * (one.high - one.low) for one in found]
        yield [_name(layout), *_text(min(covered), np.mean(covered), np.mean(widths))]


def differences(rng: np.random.Generator, sets: int) -> Iterator[list[str]]:
    """Errors of the test of two rates, and coverage of their difference."""
    yield [
        *("prompts x samples", "equal rates called different, most", "mean"),
        *("difference covered, lowest", "mean", "p and interval disagree"),
    ]
    for layout in (one for one in LAYOUTS if one[0] >= FEWEST_PROMPTS):
        errors, covered, disagree = [], [], 0
        for pair, alike in product(
            [*((rate, rate) for rate in RATES), *PAIRS], ALIKE if layout[1] > 1 else (0.0,)
        ):
            found = []
            for _ in range(sets):
                a, b = (shown(rng, rate, layout, alike).ravel() for rate in pair)
                found.append(paired_rates(a, b, prompts_of(layout)))
            low, high = (np.array([getattr(one, end) for one in found]) for end in _ENDS)
            rejected = np.array([one.p < 0.05 for one in found])
            disagree += np.count_nonzero(rejected != ((low > 0) | (high < 0)))
            if pair[0] == pair[1]:
                errors.append(share(rejected))
            else:
                truth = pair[0] - pair[1]
                covered.append(share((low <= truth) & (truth <= high)))
        numbers = (max(errors), np.mean(errors), min(covered), np.mean(covered))
        yield [_name(layout), *_text(*numbers), str(disagree)]


_ENDS = ("ci_low", "ci_high")


def unlike(rng: np.random.Generator, sets: int) -> Iterator[list[str]]:
    """How often equal rates are called different if one method's samples are the more alike."""
    yield ["prompts x samples", *(f"alike {a:g} and {b:g}: most (mean)" for a, b in UNLIKE)]
    for layout in ((10, 5), (20, 5), (20, 20), (50, 5), (250, 5)):
        cells = []
        for pair in UNLIKE:
            errors = []
            for rate in (0.02, 0.1, 0.5):
                found = []
                for _ in range(sets):
                    a, b = (shown(rng, rate, layout, alike).ravel() for alike in pair)
                    found.append(paired_rates(a, b, prompts_of(layout)).p < 0.05)
                errors.append(share(found))
            cells.append(f"{max(errors):.1f} ({np.mean(errors):.1f})")
        yield [_name(layout), *cells]


def means(rng: np.random.Generator, sets: int) -> Iterator[list[str]]:
    """Coverage of a mean's interval, and errors of the test of two means."""
    kinds = list(TRUTH)
    yield [
        "prompts x samples",
        *(f"{kind}: covered" for kind in kinds),
        *(f"{kind}: equal means called different" for kind in kinds),
    ]
    for layout in ((4, 1), (4, 5), (5, 5), (6, 5), (10, 5), (20, 1), (20, 5), (50, 5)):
        of = prompts_of(layout)
        covered, errors = [], []
        for kind, truth in TRUTH.items():
            held, wrong = [], []
            for _ in range(sets):
                a, b = (values(rng, kind, layout).ravel() for _ in "ab")
                found = mean_interval(a, of)
                held.append(found.low <= truth <= found.high)
                wrong.append(paired_test(a, b, of).p < 0.05)
            covered.append(share(held))
            errors.append(share(wrong))
        yield [_name(layout), *_text(*covered, *errors)]


def rare(rng: np.random.Generator, sets: int) -> Iterator[list[str]]:
    """Coverage of the mean of values that are mostly 0, where it has an interval."""
    yield ["prompts x samples", *(f"{rate:.0%} of images: covered (has one)" for rate in RARE)]
    for layout in ((5, 5), (10, 1), (10, 5), (20, 1), (20, 5), (50, 1), (50, 5), (250, 5)):
        cells = []
        for rate in RARE:
            held = []
            for _ in range(sets):
                there = shown(rng, rate, layout, 0.5)
                found = mean_interval(
                    np.where(there, rng.exponential(size=layout), 0).ravel(),
                    prompts_of(layout),
                )
                if not found.note:
                    held.append(found.low <= rate <= found.high)
            enough = len(held) >= sets / 20  # else those that have one are too unusual
            cells.append(f"{share(held):.0f} ({len(held) / sets:.0%})" if enough else "(none)")
        yield [_name(layout), *cells]


def equal_methods(rng: np.random.Generator, kind: str, prompts: int, methods: int) -> np.ndarray:
    """Sums of prompts with five samples by method, all methods of one mean."""
    layout = (prompts, 5)
    if kind in TRUTH:
        shared = rng.normal(size=(prompts, 1))
        several = [values(rng, kind, layout).sum(axis=1) for _ in range(methods)]
        return np.stack(several, axis=1) + shared
    if kind == "one noisy":
        return rng.normal(size=(prompts, methods)) * np.where(np.arange(methods), 1, 10)
    rate, _, alike = kind.partition(", ")
    half = [i % 2 for i in range(methods)]
    correlations = half if alike == "half" else [float(alike)] * methods
    several = [shown(rng, float(rate), layout, one).sum(axis=1) for one in correlations]
    return np.stack(several, axis=1)


EQUAL = ("normal", "very skewed", "0.5, 1", "0.5, 0.5", "0.1, 0.5", "0.02, 0", "0.02, 1")


def ties(rng: np.random.Generator, sets: int) -> Iterator[list[str]]:
    """How often one of several equal methods is called worse than the best (99 permutations)."""
    yield ["prompts x 5", *(f"{m} methods: denied the mark, most (mean)" for m in METHODS)]
    best.PERMUTATIONS = 99  # for speed, not 999: a permutation test keeps its level with any number
    settings = [(str(prompts), prompts, EQUAL) for prompts in (5, 10, 50, 250)]
    settings.append(("50, one method ten times as noisy", 50, ("one noisy",)))
    half = ("0.02, half", "0.1, half", "0.5, half")
    settings.append(("50, samples of every other method all alike", 50, half))
    for name, prompts, kinds in settings:
        cells = []
        for methods in METHODS:
            if untestable(prompts, methods):
                cells.append("no test")
                continue
            denied = [share(_denied(rng, kind, prompts, methods, sets)) for kind in kinds]
            cells.append(f"{max(denied):.1f} ({np.mean(denied):.1f})")
        yield [name, *cells]


def _denied(
    rng: np.random.Generator, kind: str, prompts: int, methods: int, sets: int
) -> list[bool]:
    drawn = (equal_methods(rng, kind, prompts, methods) for _ in range(sets))
    return [not may_be_best(one, seed=seed).all() for seed, one in enumerate(drawn)]


def effective(rng: np.random.Generator, sets: int) -> Iterator[list[str]]:
    """The rate on effective prompts of the original model, and of the same model drawn again."""
    yield [
        *("prompts x samples", "rate on all", "original", "the same model again"),
        *("chosen and shown by the same images: original", "the same model again"),
    ]
    for layout, rate in product(((50, 2), (50, 10)), (0.1, 0.5)):
        names = [f"0_{j}_{k}.png" for j in range(layout[0]) for k in range(layout[1])]
        found = []
        for _ in range(sets):
            own = rng.beta(rate, 1 - rate, (layout[0], 1))
            one, two = (rng.random(layout) < own for _ in "ab")
            original = dict(zip(names, one.ravel(), strict=True))
            again = dict(zip(names, two.ravel(), strict=True))
            halves = (effective_rate(original, each).rate for each in (original, again))
            chosen = one.any(axis=1)
            found.append([*halves, one[chosen].mean(), two[chosen].mean()])
        yield [_name(layout), f"{rate:.0%}", *_text(*(100 * np.mean(found, axis=0)))]


def _name(layout: tuple[int, int]) -> str:
    return f"{layout[0]} x {layout[1]}"


def _text(*numbers: float) -> list[str]:
    return [f"{number:.1f}" for number in numbers]


# Table -> its function, and how many data sets a setting has.
TABLES: dict[str, tuple[Callable[[np.random.Generator, int], Iterator[list[str]]], int]] = {
    "rates": (rates, 1000),
    "differences": (differences, 200),
    "unlike": (unlike, 300),
    "means": (means, 2000),
    "rare": (rare, 600),
    "ties": (ties, 400),
    "effective": (effective, 60),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 data sets a setting")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    for name in args.only:
        table, sets = TABLES[name]
        sets = 20 if args.quick else sets
        rows = table(np.random.default_rng(args.seed), sets)
        header = next(rows)
        about = table.__doc__.splitlines()[0]
        print(f"**{name}**: {about} In percent; {sets} data sets a setting.\n")
        print(f"| {' | '.join(header)} |\n|{' --: |' * len(header)}", flush=True)
        for row in rows:
            print(f"| {' | '.join(row)} |", flush=True)
        print()


if __name__ == "__main__":
    main()
