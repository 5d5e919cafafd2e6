"""Which unit statistics see, and what it makes of the values of slices."""

from __future__ import annotations

import numpy as np
import pytest

from bundle.tat.evaluation.unit_of_analysis import MIN_UNITS, by_group, unit_means, unit_of_analysis
from bundle.tat.refusal import RefusedInputError


def names(kind: str, n: int, size: int = 40) -> list[str]:
    return [f"{kind}{index % n}" for index in range(size)]


@pytest.mark.parametrize(
    ("n_cases", "n_subjects", "unit"),
    [
        (MIN_UNITS - 1, None, "slices"),
        (MIN_UNITS, None, "cases"),
        (2 * MIN_UNITS, MIN_UNITS, "subjects"),
        (2 * MIN_UNITS, MIN_UNITS - 1, "cases"),
        (MIN_UNITS - 1, 1, "slices"),
    ],
)
def test_the_coarsest_unit_of_which_there_are_enough(n_cases, n_subjects, unit):
    assert unit_of_analysis(names("case", n_cases), n_subjects and names("subject", n_subjects)) == unit


def test_a_subject_is_the_mean_of_its_cases_whatever_their_slices():
    # The first subject has a case of three slices and one of one; the others have one case each.
    cases = ["a", "a", "a", "b", "c", "d", "e", "f"]
    subjects = ["1", "1", "1", "1", "2", "3", "4", "5"]
    values = np.array([1.0, 2.0, 3.0, 8.0, 10.0, 20.0, 30.0, 40.0])
    assert unit_means(values, cases, subjects).tolist() == [5.0, 10.0, 20.0, 30.0, 40.0]
    assert unit_means(values, cases).tolist() == [2.0, 8.0, 10.0, 20.0, 30.0, 40.0]
    assert unit_means(values, ["a"] * 8, ["1"] * 8) is values


def test_sums_and_numbers_of_groups():
    totals, counts = by_group(np.array([1.0, 2.0, 4.0]), ["b", "a", "b"])
    assert (totals.tolist(), counts.tolist()) == ([2.0, 5.0], [1.0, 2.0])
    with pytest.raises(RefusedInputError, match="2 groups for 3 values"):
        by_group(np.zeros(3), ["a", "b"])
