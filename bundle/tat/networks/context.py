"""Neighbouring slices as input channels: the slice to restore stands in the middle of its neighbours."""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

# The convolution that takes the image, of TAT.
_FIRST_WEIGHT: Final = "embed.weight"


def middle_channels(image: Tensor, n_channels: int) -> Tensor:
    """Take the slice to restore out of a slice with its neighbours.

    Args:
        image: ``(..., C, H, W)``; as many channels before the middle ones as after them.
        n_channels: how many stand in the middle.

    Returns:
        ``(..., n_channels, H, W)``, sharing the memory of ``image``.
    """
    return image.narrow(-3, (image.shape[-3] - n_channels) // 2, n_channels)


def count_input_channels(weights: Mapping[str, Tensor]) -> int | None:
    """How many channels a ``TAT`` of these weights takes; ``None`` if they are of another network.

    Args:
        weights: by name.
    """
    first = weights.get(_FIRST_WEIGHT)
    return None if first is None or first.ndim != 4 else first.shape[1]


def grow_context(weights: Mapping[str, Tensor], n_channels: int) -> dict[str, Tensor]:
    """Let weights of a ``TAT`` that takes fewer neighbouring slices start one that takes more.

    The first convolution gets zeros for the new neighbours, so that the network begins with what it gave without them.

    Args:
        weights: of a ``TAT``, by name.
        n_channels: what the other ``TAT`` takes; so many more that as many come before as after.

    Returns:
        The weights for the other.
    """
    given = weights[_FIRST_WEIGHT]
    grown = given.new_zeros(given.shape[0], n_channels, *given.shape[2:])
    middle_channels(grown, given.shape[1]).copy_(given)
    return {**weights, _FIRST_WEIGHT: grown}
