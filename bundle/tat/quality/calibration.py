"""The calibration of a verdict: thresholds and statistics that belong to one file of weights."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.file_digest import file_sha256
from bundle.tat.modality import Modality
from bundle.tat.quality.error_interval import ErrorInterval
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

# Beside the weights.
FILE_NAME: Final = "calibration.json"


@dataclass(frozen=True)
class Logistic:
    """Logistic regression: the chance of an outcome, from features.

    Args:
        names: of the features.
        centre: value that is subtracted from each feature. A feature that is not known counts as having this value.
        scale: divisor of each feature after that.
        weights: of each centred and scaled feature.
        bias: logarithm of the odds where all features are at their centre.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def chance(self, features: Mapping[str, float | None]) -> float:
        """Share of benchmark cases with these features that have the outcome, in (0, 1)."""
        return float(1.0 / (1.0 + np.exp(-self.log_odds(features))))

    def log_odds(self, features: Mapping[str, float | None]) -> float:
        """Logarithm of the odds of the outcome."""
        total = self.bias
        for name, centre, scale, weight in zip(self.names, self.centre, self.scale, self.weights, strict=True):
            value = features.get(name)
            total += 0.0 if value is None else weight * (value - centre) / scale
        return total


@dataclass(frozen=True)
class Representation:
    """The distribution of the network's task representations in training, of one modality.

    Args:
        mean: of the vectors ``(4F,)``.
        precision: inverse ``(4F, 4F)`` of their covariance, which was shrunk towards a multiple of the identity.
        limit: distance that 99 of 100 validation slices stay below.
    """

    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    limit: float

    def distances(self, vectors: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Mahalanobis distance of each vector ``(N, 4F) -> (N,)``; NaN for vectors of another length."""
        mean, precision = np.asarray(self.mean), np.asarray(self.precision)
        if vectors.ndim != 2 or vectors.shape[1] != len(mean):
            return np.full(len(vectors), np.nan)
        apart = vectors - mean
        distances: NDArray[np.float64] = np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", apart, precision, apart), 0.0))
        return distances


@dataclass(frozen=True)
class Grade:
    """How well one verdict separates harmful cases from others, on cases that were not used to choose a threshold.

    Args:
        n_harmful: number of harmful cases.
        n_flagged: how many of the harmful cases were flagged.
        n_harmless: number of the other cases.
        n_passed: how many of the other cases were not flagged.
        sensitivity: exact 95 % interval of the share ``n_flagged / n_harmful``; 0 to 1 where there are none.
        specificity: the same interval of ``n_passed / n_harmless``.
        area: area under the ROC curve; ``None`` where all cases are of one kind.
    """

    n_harmful: int
    n_flagged: int
    n_harmless: int
    n_passed: int
    sensitivity: tuple[float, float]
    specificity: tuple[float, float]
    area: float | None


@dataclass(frozen=True)
class ModalityCalibration:
    """The calibration of the verdict on one modality.

    Args:
        harm: chance that the restored scan is further from the clean scan than the input, over all pixels.
        edges: the same chance at strong edges.
        do_not_use: chance of harm from which a scan should not be used.
        look_closely: chance of harm from which a scan is flagged.
        look_at_edges: chance of harm at edges from which a scan is flagged.
        ranges: feature -> smallest and largest value among the calibration cases.
        band: 5th and 95th percentile of the change's spectrum in each bin, over the cases that came out better.
        representation: ``None`` where the network has none.
        grades: verdict -> how well it does on the test cases.
        n_cases: number of validation cases, and of test cases.
        n_subjects: number of people in the validation cases, and in the test cases.
    """

    harm: Logistic
    edges: Logistic
    do_not_use: float
    look_closely: float
    look_at_edges: float
    ranges: Mapping[str, tuple[float, float]]
    band: tuple[tuple[float, ...], tuple[float, ...]]
    representation: Representation | None
    grades: Mapping[str, Grade]
    n_cases: tuple[int, int]
    n_subjects: tuple[int, int]


@dataclass(frozen=True)
class Calibration:
    """The calibration of one file of weights.

    Args:
        weights_sha256: of the weights.
        modalities: modality -> calibration of its verdict; others have none.
        errors: modality -> interval of the error of a pixel; others have none.
    """

    weights_sha256: str
    modalities: Mapping[Modality, ModalityCalibration]
    errors: Mapping[Modality, ErrorInterval] = field(default_factory=lambda: MappingProxyType({}))


NO_CALIBRATION: Final = Calibration("", MappingProxyType({}))


def read_calibration(weights: str | Path | None) -> Calibration:
    """Read the calibration that lies beside weights, if it was made for them.

    Args:
        weights: file of the weights; ``None`` for a network without weights.

    Returns:
        The calibration. It has no modality where the file is missing or was made for other weights. Other weights
        give a warning.

    Raises:
        RefusedInputError: the file is no calibration.
    """
    if weights is None:
        return NO_CALIBRATION
    path = Path(str(weights)).expanduser()
    file = path.with_name(FILE_NAME)
    if not file.is_file() or not path.is_file():
        return NO_CALIBRATION
    try:
        calibration = from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RefusedInputError(f"{file} is no calibration ({error!r}): make a new one with make calibrate") from error
    if calibration.weights_sha256 != file_sha256(path):
        logger.warning("%s was made for other weights than %s: no verdict is given", file.name, path.name)
        return NO_CALIBRATION
    return calibration


def from_json(content: Mapping[str, Any]) -> Calibration:
    """A calibration from its JSON form; a wrong form raises ``KeyError``, ``TypeError`` or ``ValueError``."""
    modalities = {Modality(name): _modality(entry) for name, entry in content["modalities"].items()}
    errors = {Modality(name): _error_interval(entry) for name, entry in content.get("errors", {}).items()}
    return Calibration(str(content["weights_sha256"]), MappingProxyType(modalities), MappingProxyType(errors))


def _modality(entry: Mapping[str, Any]) -> ModalityCalibration:
    low, high = entry["band"]
    return ModalityCalibration(
        harm=_logistic(entry["harm"]),
        edges=_logistic(entry["edges"]),
        do_not_use=float(entry["do_not_use"]),
        look_closely=float(entry["look_closely"]),
        look_at_edges=float(entry["look_at_edges"]),
        ranges={name: (float(least), float(most)) for name, (least, most) in entry["ranges"].items()},
        band=(_floats(low), _floats(high)),
        representation=None if entry["representation"] is None else _representation(entry["representation"]),
        grades={name: _grade(grade) for name, grade in entry["grades"].items()},
        n_cases=(int(entry["n_cases"][0]), int(entry["n_cases"][1])),
        n_subjects=(int(entry["n_subjects"][0]), int(entry["n_subjects"][1])),
    )


def _logistic(entry: Mapping[str, Any]) -> Logistic:
    vectors = {name: _floats(entry[name]) for name in ("centre", "scale", "weights")}
    return Logistic(names=tuple(map(str, entry["names"])), bias=float(entry["bias"]), **vectors)


def _representation(entry: Mapping[str, Any]) -> Representation:
    return Representation(
        _floats(entry["mean"]), tuple(_floats(row) for row in entry["precision"]), float(entry["limit"])
    )


def _grade(entry: Mapping[str, Any]) -> Grade:
    counts = {name: int(entry[name]) for name in ("n_harmful", "n_flagged", "n_harmless", "n_passed")}
    area = entry["area"]
    return Grade(
        sensitivity=(float(entry["sensitivity"][0]), float(entry["sensitivity"][1])),
        specificity=(float(entry["specificity"][0]), float(entry["specificity"][1])),
        area=None if area is None else float(area),
        **counts,
    )


def _error_interval(entry: Mapping[str, Any]) -> ErrorInterval:
    mean, least = entry["coverage"]
    return ErrorInterval(
        weights=_floats(entry["weights"]),
        bias=float(entry["bias"]),
        factor=float(entry["factor"]),
        level=float(entry["level"]),
        coverage=(float(mean), float(least)),
        n_cases=int(entry["n_cases"]),
    )


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
