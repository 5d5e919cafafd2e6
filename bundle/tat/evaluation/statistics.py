"""Confidence interval of a mean, and paired test of two methods, over subjects, cases or slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bundle.tat.evaluation.unit_of_analysis import (
    Names,
    Numbers,
    Unit,
    by_group,
    check_numbers,
    unit_means,
    unit_of_analysis,
)
from bundle.tat.optional import import_optional
from bundle.tat.refusal import RefusedInputError

LEVEL: Final = 0.95
N_RESAMPLES: Final = 5000


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Args:
        low: lower end, in the unit of the values.
        high: upper end, in the unit of the values.
    """

    low: float
    high: float


@dataclass(frozen=True)
class PairedTest:
    """Outcome of Wilcoxon's signed-rank test.

    Args:
        p: two-sided p-value; 1 where no pair differs.
        n_pairs: number of pairs.
        n_different: number of pairs that differ; the test uses only these.
    """

    p: float
    n_pairs: int
    n_different: int


@dataclass(frozen=True)
class Description:
    """One score of one method on one task.

    Args:
        mean: mean over all values.
        sd: sample standard deviation over all values; ``None`` for a single value.
        interval: of the mean; ``None`` for fewer than ``MIN_UNITS`` cases of one value each.
    """

    mean: float
    sd: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Comparison:
    """One score of two methods on the same slices.

    Args:
        mean_difference: mean of the first minus the second over all slices.
        interval: of that mean; ``None`` for fewer than ``MIN_UNITS`` cases of one slice each.
        test: paired test of the differences of the units.
        unit: what was resampled and tested.
    """

    mean_difference: float
    interval: Interval | None
    test: PairedTest
    unit: Unit


def bootstrap_interval(
    values: Numbers,
    *,
    groups: Names | None = None,
    level: float = LEVEL,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a mean.

    Args:
        values: ``(N,)`` values.
        groups: group of each value. Whole groups are drawn, and the mean is over the values of the drawn groups.
            ``None`` draws the values themselves.
        level: share of intervals that should hold the true mean.
        n_resamples: number of bootstrap samples.
        seed: of the draws.

    Returns:
        The interval, in the unit of the values.

    Raises:
        RefusedInputError: fewer than two values or groups, a value that is not finite, or ``level`` outside (0, 1).

    Source:
        Efron 1979, doi:10.1214/aos/1176344552; drawing clusters: Davison and Hinkley 1997, section 3.8.
    """
    if not 0.0 < level < 1.0:
        raise RefusedInputError(f"level {level} is outside (0, 1): pass 0.95 for a 95 % interval")
    totals, counts = by_group(values, groups)
    if len(totals) < 2:
        raise RefusedInputError(f"an interval needs 2 values or groups or more, there are {len(totals)}: pass more")
    drawn = np.random.default_rng(seed).integers(len(totals), size=(n_resamples, len(totals)))
    means = totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(float(low), float(high))


def paired_wilcoxon(values: Numbers, others: Numbers) -> PairedTest:
    """Test whether paired values differ, two-sided; needs scipy.

    Pairs without a difference are left out, as Wilcoxon did. If no pair is left, as for a run compared with itself, p
    is 1.

    Args:
        values: ``(N,)`` values.
        others: ``(N,)`` values, paired with the first.

    Returns:
        The p-value and the counts. Of ``n`` different pairs, p cannot be less than ``2 ** (1 - n)``.

    Raises:
        RefusedInputError: lengths differ, there is no pair, or a value is not finite.
        ImportError: scipy is not installed.

    Source:
        Wilcoxon 1945, doi:10.2307/3001968, as ``scipy.stats.wilcoxon`` computes it.
    """
    if values.shape != others.shape:
        raise RefusedInputError(f"{values.size} and {others.size} values are not pairs: pass the same number of both")
    check_numbers(values, others)
    differences = values - others
    different = differences[differences != 0.0]
    p = float(import_stats().wilcoxon(different).pvalue) if different.size else 1.0
    return PairedTest(p, n_pairs=int(values.size), n_different=int(different.size))


def describe(values: Numbers, cases: Names, subjects: Names | None = None, *, seed: int = 0) -> Description:
    """Mean, spread and interval of one score.

    Args:
        values: ``(N,)``, the score of each slice.
        cases: the case of each slice.
        subjects: the subject of each slice; ``None`` where they are not known.
        seed: of the bootstrap, over :func:`unit_of_analysis`.

    Returns:
        The description; mean and deviation are over slices.

    Raises:
        RefusedInputError: there is no value, or one that is not finite.
    """
    check_numbers(values)
    sd = float(values.std(ddof=1)) if values.size > 1 else None
    return Description(float(values.mean()), sd, _interval(values, cases, subjects, seed))


def compare(
    values: Numbers, others: Numbers, cases: Names, subjects: Names | None = None, *, seed: int = 0
) -> Comparison:
    """Difference of two methods on the same slices, with interval and test; needs scipy.

    Args:
        values: ``(N,)``, the first method's score of each slice.
        others: ``(N,)``, the second method's score of the same slices.
        cases: the case of each slice.
        subjects: the subject of each slice; ``None`` where they are not known.
        seed: of the bootstrap.

    Returns:
        The comparison. The test uses the mean of each case, or the mean of each subject's cases.

    Raises:
        RefusedInputError: lengths differ, there is no value, or one that is not finite.
        ImportError: scipy is not installed.
    """
    test = paired_wilcoxon(*(unit_means(numbers, cases, subjects) for numbers in (values, others)))
    differences = values - others
    return Comparison(
        float(differences.mean()),
        _interval(differences, cases, subjects, seed),
        test,
        unit_of_analysis(cases, subjects),
    )


def import_stats() -> Any:
    """Import the statistics of scipy only where they are needed.

    Returns:
        The module ``scipy.stats``.

    Raises:
        ImportError: scipy is not installed; the message names the remedy.
    """
    return import_optional("scipy.stats", extra="report")


def _interval(values: Numbers, cases: Names, subjects: Names | None, seed: int) -> Interval | None:
    unit = unit_of_analysis(cases, subjects)
    if unit != "slices":
        return bootstrap_interval(values, groups=subjects if unit == "subjects" else cases, seed=seed)
    # With one value for each case, slices are no finer unit, and there are too few cases for an interval.
    return bootstrap_interval(values, seed=seed) if values.size > len(set(cases)) else None
