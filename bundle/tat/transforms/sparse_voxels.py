"""Values of some voxels of a volume, held in little memory while the volume goes through the network."""

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
    """Some voxels of a volume, with a value each; filled plane by plane.

    A plane that has such voxels costs a bit for each of its voxels. Values are held once where all are the same, as
    those of padding are.

    Args:
        axis: array axis that the planes are stacked along, best the ``slowest_axis``.
        n_planes: of the volume.
        values: index of a plane -> values of its voxels: a number that all have, or one for each.
        bits: which voxels of each plane, packed, ``(planes, bytes)``; ``None`` until there are any. It is one array,
            since thousands of small ones would lie between what is freed in the meantime, and keep it from being used.
            Nor is a tensor made for a single number.
        n_voxels: how many voxels there are in all.
    """

    axis: int
    n_planes: int
    values: dict[int, Tensor | float] = field(default_factory=dict)
    bits: NDArray[np.uint8] | None = None
    n_voxels: int = 0

    @classmethod
    def of(cls, volume: Tensor) -> SparseVoxels:
        """None of the voxels yet, with the planes that lie together in memory.

        Args:
            volume: that they will be of.
        """
        axis = slowest_axis(volume)
        return cls(axis, volume.shape[axis])

    def set_plane(self, index: int, mask: Tensor, values: Tensor) -> None:
        """Take in the voxels of one plane.

        Args:
            index: of the plane.
            mask: which voxels of the plane, true or false.
            values: of those voxels, in the order of ``mask``, and of this object from now on; without any, nothing is
                held.
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
            value: what they become.
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
        """The same object: MONAI copies what its transforms note down for each inversion, and this is never changed."""
        return self
