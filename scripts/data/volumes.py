"""A scan with its geometry: cut, sampled at other voxels, written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bundle.tat.atomic import written_whole


class Volume(NamedTuple):
    """A scan: values of shape (X, Y, Z), and the affine from voxel indices to RAS millimetres."""

    values: NDArray[np.float32]
    affine: NDArray[np.float64]

    def keep(self, first: int, last: int | None, step: int = 1) -> Volume:
        """Keep every ``step``-th slice of a range along the last axis, and move the origin accordingly."""
        cut = np.diag([1.0, 1.0, step, 1.0])
        cut[2, 3] = first
        return Volume(self.values[:, :, first:last:step], self.affine @ cut)

    def keep_centre(self, side: int) -> Volume:
        """Crop slices that are larger than ``side`` by ``side`` to their middle, and move the origin accordingly."""
        first = [max(length - side, 0) // 2 for length in self.values.shape[:2]]
        shift = np.eye(4)
        shift[:2, 3] = first
        return Volume(self.values[first[0] :, first[1] :][:side, :side], self.affine @ shift)

    def stretch(self, factors: Sequence[float]) -> Volume:
        """Enlarge the content along the array axes by the factors, about the first voxel."""
        return self._replace(affine=self.affine @ np.diag([*factors, 1.0]))

    def stack_along(self, axis: int) -> Volume:
        """Move an array axis to the end, and the affine's column with it."""
        order = [*(other for other in range(3) if other != axis), axis]
        return Volume(self.values.transpose(order), self.affine[:, [*order, 3]])


def resample_slices(volume: Volume, pixel_size: float) -> Volume:
    """Resample each axial slice to square pixels of another size [mm] over the same field of view."""
    values, affine = volume
    step = pixel_size / np.linalg.norm(affine[:3, :2], axis=0)
    sides = tuple(int(length / s) for length, s in zip(values.shape, step, strict=False))
    smooth = ndimage.gaussian_filter(values, (*(0.4 * np.maximum(step - 1.0, 0.0)), 0.0))
    factors = (*step, 1.0)
    sampled = ndimage.affine_transform(
        smooth, factors, output_shape=(*sides, values.shape[2]), order=3 if step.max() < 1 else 1, mode="nearest"
    )
    return Volume(sampled.astype(np.float32), affine @ np.diag([*factors, 1.0]))


def resample(volume: Volume, voxel_size: float, side: int) -> Volume:
    """Resample a volume to cubic voxels, ``side`` by ``side`` in each axial slice, about the same centre.

    Voxels outside the volume get the darkest value of its border, such as air in a CT, or 0 in a map.
    """
    values, affine = volume
    step = voxel_size / np.linalg.norm(affine[:3, :3], axis=0)
    depth = int((values.shape[2] - 1) / step[2]) + 1
    centre = (np.array(values.shape) - 1) / 2
    offset = np.array([*(centre[:2] - step[:2] * (side - 1) / 2), 0.0])
    smooth = ndimage.gaussian_filter(values, 0.4 * np.maximum(step - 1.0, 0.0))
    sampled = ndimage.affine_transform(
        smooth, step, offset, (side, side, depth), order=1, mode="constant", cval=float(values.min())
    )
    scaled = np.eye(4)
    scaled[:3, :3] = np.diag(step)
    scaled[:3, 3] = offset
    return Volume(sampled.astype(np.float32), affine @ scaled)


def write_nifti(path: Path, values: NDArray[Any], affine: NDArray[np.float64], *, slope: float | None = None) -> None:
    """Write a volume under a temporary name first, so that an interrupted run leaves no incomplete file.

    ``slope`` is the factor by which a reader multiplies stored integers.
    """
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(slope, 0 if slope else None)
    with written_whole(path) as scratch:
        nibabel.save(image, scratch)
