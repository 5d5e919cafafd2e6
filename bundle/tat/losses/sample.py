"""The parts of a loss, sample by sample."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from torch import Tensor

from bundle.tat.refusal import RefusedInputError

# The slope of a root is infinite at 0; far below the steps of any stored image on the scale [0, 1].
_SMALLEST_MEAN_SQUARE: Final = 1e-12


class DivergedError(RefusedInputError, FloatingPointError):
    """The loss of a training is NaN or infinite; callers may catch it as a ``FloatingPointError``."""


class SampleLosses(NamedTuple):
    """The parts of one step's loss, for each sample.

    Attributes:
        error: error of the prediction, in the measure of the loss ``(B,)``.
        weight: factor that the error is multiplied by ``(B,)``.
        penalty: term that keeps the weight from falling to 0 ``(B,)``.
    """

    error: Tensor
    weight: Tensor
    penalty: Tensor

    def mean(self) -> Tensor:
        """The loss of the batch."""
        return (self.weight * self.error + self.penalty).mean()


def mean_absolute(difference: Tensor) -> Tensor:
    """Mean magnitude of each sample: ``(B, ...) -> (B,)``."""
    return difference.abs().flatten(start_dim=1).mean(dim=1)


def root_mean_square(difference: Tensor) -> Tensor:
    """Root of the mean square of each sample: ``(B, ...) -> (B,)``."""
    return (difference.square().flatten(start_dim=1).mean(dim=1) + _SMALLEST_MEAN_SQUARE).sqrt()


# Measures of an error. The mean absolute error is smallest at the median of the possible images, the mean square error
# at their mean. With skewed noise, as in PET, the median lies below the mean, and small hot spots come out too low.
MEASURES: Final[Mapping[str, Callable[[Tensor], Tensor]]] = MappingProxyType(
    {"mean_absolute": mean_absolute, "root_mean_square": root_mean_square}
)
