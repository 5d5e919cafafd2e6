"""Values of some voxels of a volume, stored in little memory while the volume goes through the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bundle.tat.transforms.volume import plain_tensor, slowest_axis


@dataclass
class SparseVoxels:
    """Some voxels of a volume, each with a value; filled plane by plane.

    A plane with such voxels takes one bit for each of its voxels. If all values are the same, as in padding, one number
    is stored.

    Args:
        axis: array axis that the planes are stacked along, best the ``slowest_axis``.
        n_planes: number of planes of the volume.
        values: index of a plane -> values of its voxels: one number for all, or one for each.
        bits: mask of the voxels of each plane, packed, ``(planes, bytes)``; ``None`` while there are none. It is one
            array, since thousands of small arrays would fragment the memory.
        n_voxels: number of voxels in all planes.
    """

    axis: int
    n_planes: int
    values: dict[int, Tensor | float] = field(default_factory=dict)
    bits: NDArray[np.uint8] | None = None
    n_voxels: int = 0

    @classmethod
    def of(cls, volume: Tensor) -> SparseVoxels:
        """An empty set of voxels, with planes that are contiguous in memory.

        Args:
            volume: volume of the voxels.
        """
        axis = slowest_axis(volume)
        return cls(axis, volume.shape[axis])

    def set_plane(self, index: int, mask: Tensor, values: Tensor) -> None:
        """Add the voxels of one plane.

        Args:
            index: of the plane.
            mask: which voxels of the plane, true or false.
            values: of those voxels, in the order of ``mask``. This object keeps the tensor. If it is empty, nothing is
                stored.
        """
        if not values.numel():
            return
        same = bool((values == values[0]).all())
        bits = np.packbits(mask.numpy(force=True))
        if self.bits is None:
            self.bits = np.empty((self.n_planes, bits.size), dtype=np.uint8)
        self.bits[index] = bits
        self.values[index] = float(values[0]) if same else values
        self.n_voxels += values.numel()

    @property
    def has_negative(self) -> bool:
        """Whether one of the values is below 0."""
        return any(bool(torch.as_tensor(values).lt(0).any()) for values in self.values.values())

    def add_to(self, volume: Tensor) -> None:
        """Add the values to the voxels.

        Args:
            volume: of the shape that the planes were taken from; changed in place.
        """
        for plane, mask, values in self._planes_of(volume):
            plane[mask] += values

    def put_into(self, volume: Tensor) -> None:
        """Replace the voxels by the values.

        Args:
            volume: of the shape that the planes were taken from; changed in place.
        """
        for plane, mask, values in self._planes_of(volume):
            plane[mask] = values

    def fill(self, volume: Tensor, value: float) -> None:
        """Give all of the voxels one value.

        Args:
            volume: of the shape that the planes were taken from; changed in place.
            value: new value of the voxels.
        """
        for plane, mask, _ in self._planes_of(volume):
            plane[mask] = value

    def _planes_of(self, volume: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor | float]]:
        """Plane, mask and values, for each plane that has such voxels."""
        plain = plain_tensor(volume)
        if self.bits is None:
            return
        for index, values in self.values.items():
            plane = plain.select(self.axis, index)
            mask = np.unpackbits(self.bits[index], count=plane.numel()).astype(bool).reshape(plane.shape)
            on_device = values if isinstance(values, float) else values.to(plane)
            yield plane, torch.from_numpy(mask).to(plane.device), on_device

    def __deepcopy__(self, memo: Mapping[int, Any]) -> SparseVoxels:
        """The same object, which is never changed: MONAI would copy it for each inversion."""
        return self
