"""How far restored intensities lie from the clean scan, predicted from measures that need no clean scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.quality.measures import CaseMeasures

# Predictors of the error, each as a logarithm: the noise before and after, and the change in two regions.
PREDICTORS: Final = ("noise_before", "noise_after", "change_flat", "change_body")
# Intensities below this count as 0, in the modality's unit.
_SMALLEST: Final = 1e-4
# Coverage of test cases: how far the mean may be from the level, and how far the lowest case may be below it.
MEAN_TOLERANCE: Final = 0.05
LEAST_TOLERANCE: Final = 0.10


@dataclass(frozen=True)
class ErrorInterval:
    """A split-conformal interval of the error of a pixel.

    Args:
        weights: of the logarithm to base 2 of each predictor.
        bias: logarithm to base 2 of the predicted error where all predictors are 1.
        factor: half the width of the interval, in predicted errors.
        level: share of pixels that is claimed to lie within the interval.
        coverage: share of pixels of the test cases that lies within the interval: the mean, and the lowest of a case.
        n_cases: number of test cases.

    Source:
        Lei et al. 2018, doi:10.1080/01621459.2017.1307116, section 5.2: locally weighted split conformal inference.
    """

    weights: tuple[float, ...]
    bias: float
    factor: float
    level: float
    coverage: tuple[float, float]
    n_cases: int

    @property
    def holds(self) -> bool:
        """Whether the test cases confirm the claimed level; an interval that they do not confirm is not shown."""
        mean, least = self.coverage
        return abs(mean - self.level) <= MEAN_TOLERANCE and least >= self.level - LEAST_TOLERANCE

    def half_width(self, measures: CaseMeasures) -> float | None:
        """Half the width of the interval about a restored intensity, in the modality's unit.

        Args:
            measures: of the scan.

        Returns:
            Half the width; ``None`` where nothing was measured.
        """
        predictors = log_predictors(measures)
        if predictors is None:
            return None
        return self.factor * float(2.0 ** (self.bias + np.dot(self.weights, predictors)))


def log_predictors(measures: CaseMeasures) -> NDArray[np.float64] | None:
    """Logarithm to base 2 of each predictor, of the median slice; ``None`` where nothing was measured."""
    medians = [measures.median(name) for name in PREDICTORS]
    known = [median for median in medians if median is not None]
    if len(known) < len(medians):
        return None
    return np.log2(np.maximum(np.asarray(known, dtype=np.float64), _SMALLEST))
