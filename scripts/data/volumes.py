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
        """Cut every ``step``-th of a run of slices out along the last axis, and move the origin along."""
        cut = np.diag([1.0, 1.0, step, 1.0])
        cut[2, 3] = first
        return Volume(self.values[:, :, first:last:step], self.affine @ cut)

    def keep_centre(self, side: int) -> Volume:
        """Cut the middle out of slices that are larger than ``side`` by ``side``, and move the origin along."""
        first = [max(length - side, 0) // 2 for length in self.values.shape[:2]]
        shift = np.eye(4)
        shift[:2, 3] = first
        return Volume(self.values[first[0] :, first[1] :][:side, :side], self.affine @ shift)

    def stretch(self, factors: Sequence[float]) -> Volume:
        """Make what is shown larger along the array axes by the factors, about the first voxel."""
        return self._replace(affine=self.affine @ np.diag([*factors, 1.0]))

    def stack_along(self, axis: int) -> Volume:
        """Put an array axis last, and the affine's columns alike."""
        order = [*(other for other in range(3) if other != axis), axis]
        return Volume(self.values.transpose(order), self.affine[:, [*order, 3]])


def resample_slices(volume: Volume, pixel_size: float) -> Volume:
    """Sample each axial slice at square pixels of another size over the same field of view [mm]."""
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
    """Sample a volume at cubic voxels, ``side`` by ``side`` in each axial slice, about the same centre.

    What lies outside the volume repeats its border's darkest value: the air of a CT, the zero of a map.
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
    """Write a volume under a temporary name, so that an interrupted run leaves no half a file.

    ``slope`` is what a reader multiplies stored integers by.
    """
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(slope, 0 if slope else None)
    with written_whole(path) as scratch:
        nibabel.save(image, scratch)
