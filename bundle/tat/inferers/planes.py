"""Restoring a volume in its three planes: structures continue across slices, and noise less so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from monai.data import MetaTensor
from torch import Tensor
from torch.nn import functional as F

from bundle.tat.networks.tat import SIZE_MULTIPLE

# Metadata entry of an image: whether it is to be restored in all three planes.
IN_PLANES: Final = "in_planes"
# Weight of the plane that the scan is stored in. The two others share the rest.
OWN_WEIGHT: Final = 0.5

_N_AXES: Final = 3


def is_in_planes(images: Tensor) -> bool:
    """Whether the metadata of an image, or of all images of a batch, ask for three planes."""
    asked = images.meta.get(IN_PLANES, False) if isinstance(images, MetaTensor) else False
    return bool(torch.as_tensor(asked).all())


def n_slices_to_restore(volumes: Tensor, slice_axis: int, *, in_planes: bool) -> int:
    """How many slices of a volume go through the network.

    Args:
        volumes: ``(..., W, H, D)``.
        slice_axis: array axis that the slices are stacked along: 0, 1 or 2.
        in_planes: whether each axis is one that slices are stacked along.
    """
    sides = volumes.shape[-_N_AXES:]
    if not in_planes:
        return sides[slice_axis]
    return sides[slice_axis] + sum(_multiple(side) for axis, side in enumerate(sides) if axis != slice_axis)


def average_planes(volumes: Tensor, slice_axis: int, restore: Callable[[Tensor, int], None]) -> None:
    """Restore volumes along each axis and average the results, in the memory of the volumes.

    The result along ``slice_axis`` has the weight 0.5, those along the two others 0.25 each. A constant slice of the
    stored plane (air, padding) stays as it is. At most two further volumes are in memory at once,
    with sides of multiples of 8.

    Args:
        volumes: ``(B, 1, W, H, D)``; they become the restored volumes.
        slice_axis: array axis that the slices are stacked along: 0, 1 or 2.
        restore: restores volumes in place, slice by slice along an axis. Sides of slices are multiples of 8.
    """
    seen = _padded(volumes)  # a copy, also where nothing is missing
    sides = volumes.shape[2:]
    slices = volumes.movedim(slice_axis + 2, 1)
    # Not flattened, which copies the volume where its axes were swapped.
    constant = slices.amax(dim=(2, 3, 4)) == slices.amin(dim=(2, 3, 4))
    values = slices[:, :, 0, 0, 0].clone()
    restore(volumes, slice_axis)
    volumes *= OWN_WEIGHT
    first, last = (axis for axis in range(_N_AXES) if axis != slice_axis)
    for axis in (first, last):
        restored = seen if axis == last else seen.clone()
        restore(restored, axis)
        restored = restored[..., : sides[0], : sides[1], : sides[2]]
        volumes.add_(restored, alpha=(1.0 - OWN_WEIGHT) / (_N_AXES - 1))
    slices[constant] = values[constant][:, None, None, None]


def _padded(volumes: Tensor) -> Tensor:
    """A copy whose sides are multiples of 8, with the border repeated at the ends."""
    width, height, depth = (_multiple(side) - side for side in volumes.shape[2:])
    return F.pad(volumes, (0, depth, 0, height, 0, width), mode="replicate")


def _multiple(side: int) -> int:
    """The next multiple of 8."""
    return -(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE
