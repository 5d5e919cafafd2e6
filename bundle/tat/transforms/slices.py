"""Choosing slices of a volume for the network."""

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from bundle.tat.networks.context import middle_channels
from bundle.tat.refusal import RefusedInputError


class CentralSlicesd(MapTransform):
    """Keep the central slices of a volume along its last axis; the item's entry gives their number.

    The affine is adapted. There is no inverse: the choice is for training and scoring, and slices that were left out
    cannot be made again.

    Args:
        keys: keys that hold volumes.
        n_slices_key: entry with the number of slices; an item without it keeps all.
        allow_missing_keys: skip a key that is absent.

    Shape:
        ``(1, W, H, D) -> (1, W, H, n_slices)``. The same number of slices is removed at both ends, or one more at the
        first end.

    Raises:
        RefusedInputError: the volume has fewer slices, or the number is not positive.
    """

    def __init__(self, keys: KeysCollection, n_slices_key: str = "n_slices", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.n_slices_key = n_slices_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Crop each volume."""
        d = dict(data)
        if self.n_slices_key in d:
            for key in self.key_iterator(d):
                d[key] = central_slices(d[key], int(d[self.n_slices_key]))
        return d


class SlicesAsChannelsd(MapTransform):
    """Make the slices of a crop the channels of an image: a slice with its neighbours, as the network takes them.

    Args:
        keys: keys that hold crops.

    Shape:
        ``(1, W, H, n_slices) -> (n_slices, W, H)``.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Make the slices of each crop channels."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = d[key].squeeze(0).movedim(-1, 0)
        return d


class MiddleSliced(MapTransform):
    """Keep the slice in the middle of its neighbours, which the network restores.

    Args:
        keys: keys that hold slices with their neighbours.

    Shape:
        ``(n_slices, W, H) -> (1, W, H)``.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Drop the neighbours."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = middle_channels(d[key], 1)
        return d


def central_slices(volume: MetaTensor, n_slices: int) -> MetaTensor:
    """Keep the central slices of a volume.

    Args:
        volume: ``(1, W, H, D)``.
        n_slices: how many.

    Returns:
        ``(1, W, H, n_slices)``, with the affine of its own first slice.

    Raises:
        RefusedInputError: see ``CentralSlicesd``.
    """
    depth = volume.shape[-1]
    if not 1 <= n_slices <= depth:
        raise RefusedInputError(f"n_slices is {n_slices} for a volume of {depth} slices: pass 1 to {depth}")
    first = (depth - n_slices + 1) // 2
    kept: MetaTensor = volume[..., first : first + n_slices].clone()  # type: ignore[assignment]
    affine = volume.affine.clone()
    affine[:3, 3] += first * affine[:3, 2]
    kept.affine = affine
    return kept
