"""Bringing MRI to a finer grid of the same field of view."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.typing import NDArray

from bundle.tat.dicom.padding import PADDING
from bundle.tat.dicom.reader import source_files
from bundle.tat.kspace.fourier_grid import FourierGrid, apply_to_slice
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.naming_source import naming_source
from bundle.tat.transforms.volume import plain_tensor

# Entry of an item with the image on its own grid, as acquired.
ACQUIRED_KEY: Final = "acquired"
# Metadata entry with the grids of the two axes of a slice, see ``FinerPlane``; absent on the scan's own grid.
FINER_PLANE: Final = "finer_plane"

# Array axis that a DICOM series is stacked along.
SLICE_AXIS_OF_DICOM: Final = 2
# Largest factor that weights may be trained for, and largest side that a scanner writes.
MAX_FACTOR: Final = 5.0
MAX_SIDE: Final = 4096
_IN_MM: Final = re.compile(r"\s*([0-9.eE+-]+)\s*mm\s*")


class FinerPlane(NamedTuple):
    """The finer grids of a volume's slices.

    Args:
        axes: the two array axes of a slice, counted without the channel.
        grids: of these axes.
    """

    axes: tuple[int, int]
    grids: tuple[FourierGrid, FourierGrid]

    @property
    def to_coarse(self) -> NDArray[np.float64]:
        """Indices of the finer grid to those of the coarse one, ``(4, 4)``."""
        matrix = np.eye(4)
        for axis, grid in zip(self.axes, self.grids, strict=True):
            matrix[axis, axis], matrix[axis, 3] = grid.n / grid.n_fine, grid.first_centre
        return matrix

    def to_json(self) -> str:
        """The grids as text, which MONAI's batches do not change."""
        return json.dumps([[axis, grid.n, grid.n_fine] for axis, grid in zip(self.axes, self.grids, strict=True)])

    @classmethod
    def of_meta(cls, meta: Mapping[str, Any]) -> FinerPlane | None:
        """Undo ``to_json``.

        Args:
            meta: metadata of an image.

        Returns:
            The grids; ``None`` where the image is on its own grid.
        """
        content = json.loads(meta.get(FINER_PLANE) or "null")
        if content is None:
            return None
        (first, *sizes), (second, *other_sizes) = content
        return cls((first, second), (FourierGrid(*sizes), FourierGrid(*other_sizes)))


def parse_upsampling(name: str, text: object) -> float | str | None:
    """Read the setting for a finer grid.

    Args:
        name: of the setting, for the refusal.
        text: ``None``, a factor such as ``2`` or ``1.5``, or a pixel side such as ``0.5mm``.

    Returns:
        The factor as a number, the side as text, or ``None``.

    Raises:
        RefusedInputError: it is none of these, or gives no finer grid.
    """
    if text is None or str(text).lower() == "none":
        return None
    word = str(text)
    is_side = _IN_MM.fullmatch(word)
    try:
        value = float(is_side.group(1) if is_side else word)
    except ValueError:
        value = float("nan")
    if is_side and 0.0 < value < float("inf"):
        return f"{value:g}mm"
    if not is_side and 1.0 < value <= MAX_FACTOR:
        return value
    raise RefusedInputError(
        f"{name} is {word}: pass a factor above 1 and up to {MAX_FACTOR:g}, or a pixel side such as 0.5mm"
    )


class UpsampleMrid(MapTransform):
    """Bring the slices of an MRI to a finer grid by zero-filling k-space, which is the input that TAT is trained on.

    The field of view, the slice thickness and the slice distance stay the same. A magnitude image stays a magnitude
    image. Declared padding counts as image afterwards. Other modalities stay unchanged.

    Args:
        keys: key of the image, one.
        upsampling: factor of the finer grid, or the side of its pixels, such as ``0.5mm``; ``None`` does nothing.
        slice_axis: array axis that the slices are stacked along, counted without the channel.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        allow_missing_keys: skip a key that is absent.

    Shape:
        ``(1, W, H, D)`` -> ``(1, W', H', D)``, and the entry ``acquired`` on the scan's own grid.

    Raises:
        RefusedInputError: ``upsampling`` gives no finer grid, or too large a grid.
    """

    def __init__(
        self,
        keys: KeysCollection,
        upsampling: object = None,
        *,
        slice_axis: int = -1,
        modality_key: str = "modality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.upsampling = parse_upsampling("upsampling", upsampling)
        self.slice_axis = slice_axis % 3
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Bring each image to the finer grid."""
        d = dict(data)
        if self.upsampling is None or Modality(d[self.modality_key]) is not Modality.MRI:
            return d
        for key in self.key_iterator(d):
            image = d[key]
            with naming_source(image):
                if source_files(image.meta) and self.slice_axis != SLICE_AXIS_OF_DICOM:
                    raise RefusedInputError(
                        f"slice_axis is {self.slice_axis}, but mri_upsample refines the slices of a DICOM series as "
                        "they are stored: leave slice_axis out"
                    )
                plane = self._finer_plane(image)
            d[key], d[ACQUIRED_KEY] = refine_volume(image, plane), image
        return d

    def _finer_plane(self, image: MetaTensor) -> FinerPlane:
        first, second = (axis for axis in range(3) if axis != self.slice_axis)
        grids = [self._grid(image.shape[1 + axis], float(image.pixdim[axis])) for axis in (first, second)]
        return FinerPlane((first, second), (grids[0], grids[1]))

    def _grid(self, n: int, side: float) -> FourierGrid:
        factor = self.upsampling if isinstance(self.upsampling, float) else side / float(str(self.upsampling)[:-2])
        n_fine = round(n * factor)
        if not n < n_fine <= min(MAX_SIDE, MAX_FACTOR * n):
            raise RefusedInputError(
                f"mri_upsample {self.upsampling} turns {n} pixels of {side:.3g} mm into {n_fine}: pass a value that "
                f"gives more pixels, at most {MAX_FACTOR:g} times as many and {MAX_SIDE}"
            )
        return FourierGrid(n, n_fine)


def refine_volume(image: MetaTensor, plane: FinerPlane) -> MetaTensor:
    """Bring a volume to a finer grid.

    Args:
        image: ``(1, W, H, D)``.
        plane: the grids of its slices.

    Returns:
        The finer volume, with its affine. It has no negative value if the image has none.
    """
    coarse = plain_tensor(image)[0].numpy(force=True)
    sizes = list(coarse.shape)
    for axis, grid in zip(plane.axes, plane.grids, strict=True):
        sizes[axis] = grid.n_fine
    slice_axis = 3 - sum(plane.axes)
    # The voxels of a slice are contiguous in memory, since all later steps work slice by slice.
    stack = np.empty([sizes[slice_axis], *(grid.n_fine for grid in plane.grids)], dtype=np.float32)
    is_magnitude = bool(coarse.min() >= 0)
    for place, source in zip(stack, np.moveaxis(coarse, slice_axis, 0), strict=True):
        refined = apply_to_slice(source, plane.grids[0].refine, plane.grids[1].refine)
        place[...] = np.abs(refined) if is_magnitude else refined
    fine = MetaTensor(torch.from_numpy(np.moveaxis(stack, 0, slice_axis))[None])
    fine.copy_meta_from(image)
    fine.affine = torch.from_numpy(image.affine.numpy(force=True) @ plane.to_coarse)
    fine.meta[FINER_PLANE] = plane.to_json()
    fine.meta.pop(PADDING, None)
    return fine
