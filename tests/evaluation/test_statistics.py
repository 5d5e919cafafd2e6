"""Intervals that cover as often as they say, and a test that gives scipy's numbers."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.stats

from bundle.tat.evaluation.statistics import bootstrap_interval, compare, describe, paired_wilcoxon
from bundle.tat.evaluation.unit_of_analysis import MIN_UNITS
from bundle.tat.refusal import RefusedInputError


def normal(size: int, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1.0, size)


def test_the_interval_is_close_to_scipys():
    values = normal(40, mean=30.0)
    ours = bootstrap_interval(values, seed=1)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    n_runs = 600
    covered = 0
    for seed in range(n_runs):
        interval = bootstrap_interval(normal(40, seed=seed), n_resamples=400, seed=seed)
        covered += interval.low <= 0.0 <= interval.high
    # A percentile interval of 40 normal values covers a little less than 95 %; 600 runs tell it to +-2 %.
    assert 0.91 <= covered / n_runs <= 0.97


def test_slices_of_one_case_do_not_count_as_new_evidence():
    """Values that are the same within a group: drawing groups sees the spread, drawing values does not."""
    groups = np.repeat([f"case{i}" for i in range(8)], 50)
    values = np.repeat(normal(8), 50)
    by_group = bootstrap_interval(values, groups=list(groups))
    by_value = bootstrap_interval(values)
    assert by_group.high - by_group.low > 4 * (by_value.high - by_value.low)
    alone = bootstrap_interval(normal(8))
    assert (by_group.low, by_group.high) == pytest.approx((alone.low, alone.high))


def test_the_mean_of_drawn_groups_is_over_their_values():
    values = np.array([0.0, 0.0, 0.0, 6.0])
    interval = bootstrap_interval(values, groups=["a", "a", "a", "b"], level=0.1)
    # Half of the draws hold both groups: three zeros and a six.
    assert (interval.low, interval.high) == (1.5, 1.5)


def test_the_interval_is_seeded_and_grows_with_the_level():
    values = normal(20)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    narrow, wide = (bootstrap_interval(values, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("size", [1, 6, 30, 120])
def test_the_test_is_scipys(size):
    values, others = normal(size, 1, 0.3), normal(size, 2)
    result = paired_wilcoxon(values, others)
    assert result.p == scipy.stats.wilcoxon(values, others).pvalue
    assert (result.n_pairs, result.n_different) == (size, size)


def test_known_p_value():
    """All of six pairs differ in one direction: two of 2 ** 6 sign patterns are as extreme."""
    assert paired_wilcoxon(np.arange(6.0) + 1.0, np.zeros(6)).p == pytest.approx(2 / 2**6)


def test_pairs_without_a_difference_are_left_out():
    values, others = normal(20, 1, 0.5), normal(20, 2)
    others[:5] = values[:5]
    result = paired_wilcoxon(values, others)
    assert (result.n_pairs, result.n_different) == (20, 15)
    assert result.p == scipy.stats.wilcoxon(values[5:], others[5:]).pvalue


def test_identical_runs_do_not_differ():
    values = normal(12)
    result = paired_wilcoxon(values, values.copy())
    assert (result.p, result.n_pairs, result.n_different) == (1.0, 12, 0)
    comparison = compare(values, values.copy(), ["a"] * 12)
    assert comparison.mean_difference == 0.0
    assert comparison.interval is not None
    assert (comparison.interval.low, comparison.interval.high) == (0.0, 0.0)


def test_cases_are_the_unit_where_there_are_enough():
    few, enough = ([f"case{i % n}" for i in range(40)] for n in (MIN_UNITS - 1, MIN_UNITS))
    values, others = normal(40, 1, 0.4), normal(40, 2)
    over_slices, over_cases = compare(values, others, few), compare(values, others, enough)
    assert over_slices.unit == "slices"
    assert over_slices.test == paired_wilcoxon(values, others)
    assert over_slices.interval == bootstrap_interval(values - others)
    means = [array.reshape(-1, MIN_UNITS).mean(axis=0) for array in (values, others)]
    assert over_cases.unit == "cases"
    assert over_cases.test == paired_wilcoxon(*means)
    assert over_cases.interval == bootstrap_interval(values - others, groups=enough)
    assert over_cases.mean_difference == over_slices.mean_difference == np.mean(values - others)


def test_cases_of_one_subject_are_one_unit():
    """Ten cases of five subjects, of unequal numbers of slices."""
    cases = [f"case{index}" for index in range(10) for _ in range(2 + index % 2)]
    subjects = [f"subject{int(case[4:]) // 2}" for case in cases]
    values, others = normal(25, 1, 0.4), normal(25, 2)
    over_subjects = compare(values, others, cases, subjects)
    assert over_subjects.unit == "subjects"
    case_means = [
        [array[np.array(cases) == f"case{index}"].mean() for index in range(10)] for array in (values, others)
    ]
    assert over_subjects.test.n_pairs == MIN_UNITS
    assert over_subjects.test.p == paired_wilcoxon(*np.reshape(case_means, (2, 5, 2)).mean(axis=2)).p
    # The mean stays that over slices; whole subjects are drawn for its interval.
    assert over_subjects.mean_difference == np.mean(values - others)
    assert over_subjects.interval == bootstrap_interval(values - others, groups=subjects)
    assert describe(values, cases, subjects).interval == bootstrap_interval(values, groups=subjects)
    assert describe(values, cases).interval == bootstrap_interval(values, groups=cases)


def test_a_subject_of_one_case_changes_nothing():
    cases = [f"case{index % 6}" for index in range(30)]
    values, others = normal(30, 1, 0.4), normal(30, 2)
    by_case, by_subject = compare(values, others, cases), compare(values, others, cases, cases)
    assert (by_case.test, by_case.interval) == (by_subject.test, by_subject.interval)
    assert (by_case.unit, by_subject.unit) == ("cases", "subjects")


def test_description():
    values = normal(30, mean=25.0)
    description = describe(values, ["a"] * 30, seed=5)
    assert description.mean == pytest.approx(np.mean(values))
    assert description.sd == pytest.approx(np.std(values, ddof=1))
    assert description.interval == bootstrap_interval(values, seed=5)


def test_what_cannot_be_told_is_none():
    alone = describe(np.array([3.0]), ["a"])
    assert (alone.mean, alone.sd, alone.interval) == (3.0, None, None)
    assert describe(normal(3), ["a", "b", "c"]).interval is None  # one value a case, too few cases
    assert describe(normal(5), list("abcde")).interval is not None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval(np.array([1.0])), "2 values or groups or more, there are 1"),
        (lambda: bootstrap_interval(normal(4), groups=["a"] * 4), "2 values or groups or more, there are 1"),
        (lambda: bootstrap_interval(normal(4), groups=["a"]), "1 groups for 4 values"),
        (lambda: bootstrap_interval(normal(4), level=95), r"level 95 is outside \(0, 1\)"),
        (lambda: bootstrap_interval(np.array([1.0, np.nan])), "not a row of finite numbers"),
        (lambda: paired_wilcoxon(normal(3), normal(4)), "3 and 4 values are not pairs"),
        (lambda: paired_wilcoxon(np.array([]), np.array([])), "not a row of finite numbers"),
        (lambda: describe(np.array([np.inf]), ["a"]), "not a row of finite numbers"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(RefusedInputError, match=message):
        call()


def test_without_scipy_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(ImportError, match=r"needs scipy\.stats: run pip install '\.\[report\]'"):
        paired_wilcoxon(normal(3), normal(3, 1))
