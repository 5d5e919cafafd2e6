"""What a loss is made of, sample by sample."""

from typing import NamedTuple

from torch import Tensor


class SampleLosses(NamedTuple):
    """What one step's loss is made of, for each sample.

    Attributes:
        error: mean absolute error ``(B,)``.
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
