"""Values of some voxels of a volume, held in little memory while the volume goes through the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bundle.tat.transforms.volume import plain_tensor


@dataclass
class SparseVoxels:
    """Some voxels of a volume, with a value each; filled plane by plane.

    A plane that has such voxels costs a bit for each of its voxels. Values are held once where all are the same, as
    those of padding are.

    Args:
        axis: array axis that the planes are stacked along, best the ``slowest_axis``.
        planes: index of a plane -> which of its voxels, packed to bits, and their values: one, or one for each.
        n_voxels: how many voxels there are in all.
    """

    axis: int
    planes: dict[int, tuple[NDArray[np.uint8], Tensor]] = field(default_factory=dict)
    n_voxels: int = 0

    def set_plane(self, index: int, mask: Tensor, values: Tensor) -> None:
        """Take in the voxels of one plane.

        Args:
            index: of the plane.
            mask: which voxels of the plane, true or false.
            values: of those voxels, in the order of ``mask``; without any, nothing is held.
        """
        if not values.numel():
            return
        same = bool((values == values[0]).all())
        bits = np.packbits(mask.numpy(force=True))
        self.planes[index] = (bits, (values[:1] if same else values).clone())
        self.n_voxels += values.numel()

    @property
    def has_negative(self) -> bool:
        """Whether one of the values is below 0."""
        return any(bool((values < 0).any()) for _, values in self.planes.values())

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

    def _planes_of(self, volume: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Plane, mask and values, for each plane that has such voxels."""
        plain = plain_tensor(volume)
        for index, (bits, values) in self.planes.items():
            plane = plain.select(self.axis, index)
            mask = np.unpackbits(bits, count=plane.numel()).astype(bool).reshape(plane.shape)
            on_device = values.to(plane)
            yield plane, torch.from_numpy(mask).to(plane.device), on_device if len(values) > 1 else on_device[0]

    def __deepcopy__(self, memo: Mapping[int, Any]) -> SparseVoxels:
        """The same object: MONAI copies what its transforms note down for each inversion, and this is never changed."""
        return self
