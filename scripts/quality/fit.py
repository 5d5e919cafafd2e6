"""Thresholds and statistics of one modality, from cases of known gain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import binomtest, rankdata

from bundle.tat.modality import Modality
from bundle.tat.quality.calibration import (
    Calibration,
    Grade,
    Logistic,
    ModalityCalibration,
    Representation,
)
from bundle.tat.quality.features import USED, case_features
from bundle.tat.quality.verdict import AS_TRAINED, DO_NOT_USE, judge
from scripts.quality.measured import MeasuredCase

# Weight of the ridge, equal to that of one case. The cases show few people, so features must not be fitted to single
# persons.
RIDGE: Final = 1.0
# Share of harmful validation cases that must be flagged, and share of the others that must not be refused.
SENSITIVITY: Final = 0.95
SPECIFICITY: Final = 0.98
# Share of the covariance that is replaced by a multiple of the identity.
SHRINKAGE: Final = 0.1
LIMIT_PERCENTILE: Final = 99.0
BAND_PERCENTILES: Final = (5.0, 95.0)
MIN_OF_A_KIND: Final = 5
LEVEL: Final = 0.95


def fit_modality(
    modality: Modality,
    validation: Sequence[MeasuredCase],
    test: Sequence[MeasuredCase],
    trained: NDArray[np.floating[Any]],
) -> ModalityCalibration | None:
    """Choose the thresholds of a modality on validation cases, and grade them on test cases.

    Args:
        modality: of all cases.
        validation: cases for all choices.
        test: cases that are not used for any choice.
        trained: task representations of training ``(N, 4F)``; empty for a network without them.

    Returns:
        The calibration; ``None`` where validation holds too few harmful or too few harmless cases.
    """
    harmed = np.array([one.is_harmed for one in validation], dtype=bool)
    worse = np.array([one.is_harmed or one.has_harmed_edges for one in validation], dtype=bool)
    edges = np.array([one.has_harmed_edges for one in validation], dtype=bool)
    if min(harmed.sum(), (~harmed).sum(), edges.sum(), (~edges).sum()) < MIN_OF_A_KIND:
        return None
    features = [case_features(one.measures) for one in validation]
    names = USED[modality]
    models = [fit_logistic(features, outcome, names) for outcome in (harmed, edges)]
    harm_chance, edge_chance = (np.array([model.chance(one) for one in features]) for model in models)
    look = _flagging_threshold(harm_chance[harmed])
    # Cases that the first threshold flags need no second flag.
    missed = worse & (harm_chance < look)
    draft = ModalityCalibration(
        harm=models[0],
        edges=models[1],
        do_not_use=max(look, float(np.quantile(harm_chance[~harmed], SPECIFICITY))),
        look_closely=look,
        look_at_edges=_flagging_threshold(edge_chance[missed]) if missed.any() else 1.0,
        ranges={name: told for name in names if (told := _range([one[name] for one in features])) is not None},
        band=_band(validation),
        representation=_representation(trained, validation),
        grades={},
        n_cases=(len(validation), len(test)),
        n_subjects=(len({one.case.subject for one in validation}), len({one.case.subject for one in test})),
    )
    return _graded(modality, draft, test)


def fit_logistic(
    features: Sequence[dict[str, float | None]], outcome: NDArray[np.bool_], names: Sequence[str]
) -> Logistic:
    """Fit the chance of an outcome by penalised likelihood.

    Args:
        features: of each case.
        outcome: whether it has the outcome ``(N,)``.
        names: features to use.

    Returns:
        The model.

    Source:
        le Cessie and van Houwelingen 1992, doi:10.2307/2347628: ridge estimators in logistic regression.
    """
    columns = [[one[name] for one in features] for name in names]
    known = [np.array([value for value in column if value is not None], dtype=np.float64) for column in columns]
    centre = np.array([values.mean() if values.size else 0.0 for values in known])
    scale = np.array([max(float(values.std()), 1e-6) if values.size else 1.0 for values in known])
    filled = np.array(
        [
            [middle if value is None else value for value in column]
            for column, middle in zip(columns, centre, strict=True)
        ],
        dtype=np.float64,
    ).T
    standard = (filled - centre) / scale
    signs = np.where(outcome, 1.0, -1.0)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, bias = parameters[:-1], parameters[-1]
        margins = signs * (standard @ weights + bias)
        pull = -signs / (1.0 + np.exp(np.minimum(margins, 700.0)))
        gradient = np.append(standard.T @ pull + RIDGE * weights, pull.sum())
        return float(np.logaddexp(0.0, -margins).sum() + RIDGE / 2 * (weights**2).sum()), gradient

    best = minimize(loss, np.zeros(len(names) + 1), jac=True, method="L-BFGS-B").x
    vectors = {"centre": centre, "scale": scale, "weights": best[:-1]}
    return Logistic(
        names=tuple(names), bias=float(best[-1]), **{name: tuple(v.tolist()) for name, v in vectors.items()}
    )


def area_under_curve(chances: NDArray[np.float64], outcome: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve: how often a case with the outcome has the larger chance.

    Source:
        Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """
    n_with = int(outcome.sum())
    n_without = outcome.size - n_with
    if not n_with or not n_without:
        return None
    ranks = rankdata(chances)[outcome].sum() - n_with * (n_with + 1) / 2
    return float(ranks / (n_with * n_without))


def exact_interval(n_successes: int, n_trials: int) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share; 0 to 1 without trials."""
    if not n_trials:
        return 0.0, 1.0
    interval = binomtest(n_successes, n_trials).proportion_ci(LEVEL, method="exact")
    return float(interval.low), float(interval.high)


def _graded(modality: Modality, draft: ModalityCalibration, test: Sequence[MeasuredCase]) -> ModalityCalibration:
    """The same calibration, with its grades on the test cases."""
    verdicts = [judge(one.measures, Calibration("", {modality: draft})).verdict for one in test]
    features = [case_features(one.measures) for one in test]
    harmed = np.array([one.is_harmed for one in test], dtype=bool)
    worse = harmed | np.array([one.has_harmed_edges for one in test], dtype=bool)
    gained = np.array([one.gains for one in test], dtype=bool)
    harm, edges = (np.array([model.chance(one) for one in features]) for model in (draft.harm, draft.edges))
    refused = np.array([verdict == DO_NOT_USE for verdict in verdicts])
    flagged = np.array([verdict != AS_TRAINED for verdict in verdicts])
    either = np.maximum(harm, edges)
    grades = {
        "do not use": grade(refused, harmed, ~harmed, area_under_curve(harm, harmed)),
        "look closely": grade(flagged, worse, gained, area_under_curve(either[worse | gained], worse[worse | gained])),
    }
    return ModalityCalibration(**{**vars(draft), "grades": grades})


def grade(
    flagged: NDArray[np.bool_], harmful: NDArray[np.bool_], harmless: NDArray[np.bool_], area: float | None
) -> Grade:
    """Sensitivity and specificity of a flag, with exact intervals."""
    n_flagged, n_passed = int((flagged & harmful).sum()), int((~flagged & harmless).sum())
    n_harmful, n_harmless = int(harmful.sum()), int(harmless.sum())
    return Grade(
        n_harmful=n_harmful,
        n_flagged=n_flagged,
        n_harmless=n_harmless,
        n_passed=n_passed,
        sensitivity=exact_interval(n_flagged, n_harmful),
        specificity=exact_interval(n_passed, n_harmless),
        area=area,
    )


def _flagging_threshold(chances: NDArray[np.float64]) -> float:
    """The largest threshold that flags the required share of harmful cases."""
    return float(np.sort(chances)[int(np.floor((1.0 - SENSITIVITY) * len(chances)))])


def _range(values: Sequence[float | None]) -> tuple[float, float] | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None


def _band(cases: Sequence[MeasuredCase]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Band of the spectra of the change over the cases that came out better, or over all cases if none did."""
    of_cases = [one for one in cases if one.gains] or list(cases)
    spectra = np.array([one.spectrum for case in of_cases for one in case.measures.slices])
    low, high = np.percentile(spectra, BAND_PERCENTILES, axis=0)
    return tuple(low.tolist()), tuple(high.tolist())


def _representation(trained: NDArray[np.floating[Any]], cases: Sequence[MeasuredCase]) -> Representation | None:
    if not trained.size:
        return None
    mean, covariance = trained.mean(axis=0), np.cov(trained, rowvar=False)
    size = len(mean)
    target = np.trace(covariance) / size * np.eye(size)
    precision = np.linalg.inv((1.0 - SHRINKAGE) * covariance + SHRINKAGE * target)
    draft = Representation(tuple(mean.tolist()), tuple(tuple(row) for row in precision.tolist()), np.inf)
    distances = np.concatenate([draft.distances(one.vectors) for one in cases if one.gains] or [np.zeros(1)])
    return Representation(draft.mean, draft.precision, float(np.percentile(distances, LIMIT_PERCENTILE)))
