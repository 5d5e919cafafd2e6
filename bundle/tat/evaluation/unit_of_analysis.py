"""The unit that is resampled and tested: subjects, cases or slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from bundle.tat.refusal import RefusedInputError

# Slices of one scan are not independent, nor are scans of one subject, so the coarsest unit is the right one. With
# fewer units than this, the next finer unit is used.
MIN_UNITS: Final = 5

Unit = Literal["subjects", "cases", "slices"]
Numbers = NDArray[np.float64]
Names = Sequence[str]


def unit_of_analysis(cases: Names, subjects: Names | None = None) -> Unit:
    """Choose the unit that is resampled and tested.

    Args:
        cases: the case of each slice.
        subjects: the subject of each slice; ``None`` where they are not known.

    Returns:
        The coarsest unit with ``MIN_UNITS`` or more members, or else ``slices``.
    """
    if subjects is not None and len(set(subjects)) >= MIN_UNITS:
        return "subjects"
    return "cases" if len(set(cases)) >= MIN_UNITS else "slices"


def unit_means(values: Numbers, cases: Names, subjects: Names | None = None) -> Numbers:
    """The values that a test uses: one for each unit.

    Args:
        values: ``(N,)``, the value of each slice.
        cases: the case of each slice; a case has one subject.
        subjects: the subject of each slice; ``None`` where they are not known.

    Returns:
        The values themselves, or the mean of each case, or the mean of each subject's cases.
    """
    unit = unit_of_analysis(cases, subjects)
    means: Numbers = values if unit == "slices" else np.divide(*by_group(values, cases))
    if unit == "subjects" and subjects is not None:
        _, first_slices = np.unique(np.asarray(cases), return_index=True)
        means = np.divide(*by_group(means, [subjects[place] for place in first_slices]))
    return means


def by_group(values: Numbers, groups: Names | None) -> tuple[Numbers, Numbers]:
    """Sum values by group.

    Args:
        values: ``(N,)`` values.
        groups: the group of each; ``None`` makes a value a group of its own.

    Returns:
        Sum and number of the values of each group, in the order of the groups' names.

    Raises:
        RefusedInputError: there is no value, a value is not finite, or the number of groups differs.
    """
    check_numbers(values)
    if groups is None:
        return values, np.ones_like(values)
    if len(groups) != values.size:
        raise RefusedInputError(f"{len(groups)} groups for {values.size} values: pass one group for each value")
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    counts: Numbers = np.bincount(index).astype(np.float64)
    totals: Numbers = np.bincount(index, weights=values).astype(np.float64)
    return totals, counts


def check_numbers(*numbers: Numbers) -> None:
    """Refuse values without a mean.

    Args:
        *numbers: rows of values.

    Raises:
        RefusedInputError: a row has no value, or a value that is not finite.
    """
    for values in numbers:
        if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
            raise RefusedInputError(f"shape {values.shape} is not a row of finite numbers: score every slice first")
