"""Neighbouring slices as input channels, with the slice to restore in the middle."""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

# The convolution that takes the image, of TAT.
_FIRST_WEIGHT: Final = "embed.weight"


def middle_channels(image: Tensor, n_channels: int) -> Tensor:
    """Take the middle slice of a slice with its neighbours.

    Args:
        image: ``(..., C, H, W)``, with the same number of channels before and after the middle.
        n_channels: number of channels in the middle.

    Returns:
        ``(..., n_channels, H, W)``, sharing the memory of ``image``.
    """
    return image.narrow(-3, (image.shape[-3] - n_channels) // 2, n_channels)


def count_input_channels(weights: Mapping[str, Tensor]) -> int | None:
    """Number of input channels of a ``TAT`` with these weights; ``None`` if they are of another network.

    Args:
        weights: by name.
    """
    first = weights.get(_FIRST_WEIGHT)
    return None if first is None or first.ndim != 4 else first.shape[1]


def grow_context(weights: Mapping[str, Tensor], n_channels: int) -> dict[str, Tensor]:
    """Convert weights of a ``TAT`` to a ``TAT`` that takes more neighbouring slices.

    The first convolution gets zeros for the new neighbours. So the results do not change before further training.

    Args:
        weights: of a ``TAT``, by name.
        n_channels: input channels of the new ``TAT``; the same number of channels is added before and after.

    Returns:
        Weights for the new ``TAT``.
    """
    given = weights[_FIRST_WEIGHT]
    grown = given.new_zeros(given.shape[0], n_channels, *given.shape[2:])
    middle_channels(grown, given.shape[1]).copy_(given)
    return {**weights, _FIRST_WEIGHT: grown}
