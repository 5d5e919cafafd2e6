"""What a loss is made of, sample by sample."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from torch import Tensor

from bundle.tat.refusal import RefusedInputError

# The slope of a root is infinite at 0; far below the steps of any stored image on the scale [0, 1].
_SMALLEST_MEAN_SQUARE: Final = 1e-12


class DivergedError(RefusedInputError, FloatingPointError):
    """A training whose loss is no number; a ``FloatingPointError`` for whoever waits for one."""


class SampleLosses(NamedTuple):
    """What one step's loss is made of, for each sample.

    Attributes:
        error: of the prediction, by the loss's measure ``(B,)``.
        weight: factor that the error is multiplied by ``(B,)``.
        penalty: what keeps the weight from falling to 0 ``(B,)``.
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


# What an error is measured by. The mean absolute error is least at the median of what an image can be, the mean square
# at its mean: where noise is skewed, as in PET, the median lies below the mean and small hot spots come out too low.
MEASURES: Final[Mapping[str, Callable[[Tensor], Tensor]]] = MappingProxyType(
    {"mean_absolute": mean_absolute, "root_mean_square": root_mean_square}
)
