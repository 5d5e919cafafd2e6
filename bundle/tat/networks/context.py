"""Neighbouring slices as input channels: the slice to restore stands in the middle of its neighbours."""

from collections.abc import Mapping

from torch import Tensor, nn


def middle_channels(image: Tensor, n_channels: int) -> Tensor:
    """Take the slice to restore out of a slice with its neighbours.

    Args:
        image: ``(..., C, H, W)``; as many channels before the middle ones as after them.
        n_channels: how many stand in the middle.

    Returns:
        ``(..., n_channels, H, W)``, sharing the memory of ``image``.
    """
    return image.narrow(-3, (image.shape[-3] - n_channels) // 2, n_channels)


def grow_context(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Let weights of a network without neighbours, or with fewer, start one with more.

    The first convolution gets zeros for the neighbours that it did not know, so that the network begins with what the
    weights gave without them.

    Args:
        weights: of a ``TAT``, by name.
        network: the ``TAT`` that they are for.

    Returns:
        The weights, as wide as the network at the first convolution; unchanged where it has no more neighbours.
    """
    name, grown = "embed.weight", dict(weights)
    given, wanted = weights.get(name), network.state_dict().get(name)
    if given is None or wanted is None or given.ndim != wanted.ndim:
        return grown
    n_given, n_wanted = given.shape[1], wanted.shape[1]
    if n_given < n_wanted and (n_wanted - n_given) % 2 == 0:
        grown[name] = given.new_zeros(given.shape[0], n_wanted, *given.shape[2:])
        grown[name].narrow(1, (n_wanted - n_given) // 2, n_given).copy_(given)
    return grown
