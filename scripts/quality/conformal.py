"""Intervals of the error of a pixel, chosen on validation cases and checked on test cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.quality.error_interval import ErrorInterval, log_predictors
from scripts.quality.measured import MeasuredCase

LEVEL: Final = 0.9
# Weight of the ridge on the predictors.
RIDGE: Final = 1.0


def fit_interval(validation: Sequence[MeasuredCase], test: Sequence[MeasuredCase]) -> ErrorInterval | None:
    """Fit the predicted error on half of the people, the width of the interval on the others, and check it.

    Args:
        validation: cases of one modality.
        test: cases that are not used for any choice.

    Returns:
        The interval; ``None`` where validation has fewer than two people.
    """
    people = sorted({one.case.subject for one in validation})
    if len(people) < 2 or not test:
        return None
    fitting = [one for one in validation if one.case.subject in people[::2]]
    calibrating = [one for one in validation if one.case.subject in people[1::2]]
    weights, bias = fit_scale(fitting)
    unchecked = ErrorInterval(weights, bias, 1.0, LEVEL, (0.0, 0.0), len(test))
    relative = np.concatenate([one.errors / half_width(unchecked, one) for one in calibrating])
    interval = ErrorInterval(weights, bias, conformal_quantile(relative, LEVEL), LEVEL, (0.0, 0.0), len(test))
    covered = [float((one.errors <= half_width(interval, one)).mean()) for one in test]
    return ErrorInterval(**{**vars(interval), "coverage": (float(np.mean(covered)), min(covered))})


def fit_scale(cases: Sequence[MeasuredCase]) -> tuple[tuple[float, ...], float]:
    """Weights and bias of the logarithm of a case's root mean square error, by ridge regression."""
    predictors = np.array([log_predictors(one.measures) for one in cases], dtype=np.float64)
    wanted = np.array([0.5 * math.log2(max(float((one.errors**2).mean()), 1e-8)) for one in cases])
    centre = predictors.mean(axis=0)
    apart = predictors - centre
    weights = np.linalg.solve(apart.T @ apart + RIDGE * np.eye(len(centre)), apart.T @ (wanted - wanted.mean()))
    return tuple(weights.tolist()), float(wanted.mean() - centre @ weights)


def conformal_quantile(scores: NDArray[np.float64], level: float) -> float:
    """The smallest width that covers one more draw with a probability of at least ``level``.

    Args:
        scores: errors of calibration in units of the predicted error ``(N,)``.
        level: share, below 1.

    Returns:
        The quantile; infinite with too few scores.
    """
    rank = math.ceil((len(scores) + 1) * level)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def half_width(interval: ErrorInterval, one: MeasuredCase) -> float:
    """Half the width of the interval of a measured case, which always has a measured slice."""
    width = interval.half_width(one.measures)
    if width is None:
        raise AssertionError(f"{one.case.name} has no measured slice")
    return width
