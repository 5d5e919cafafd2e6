"""Clean images from noisy scans: averaged slices and pixels, and the remaining noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F

from scripts.data.volumes import Volume

SOFT_TISSUE = (-150.0, 150.0)  # HU
FLAT_SHARE = 30.0  # percent of the soft tissue, where the smoothed image is steepest least
DEVIATION_PER_MAD = 1.4826  # of a normal distribution
FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


def average_pixels(volume: Volume, factor: float) -> Volume:
    """Average slices onto a grid ``factor`` times as coarse, over the same field of view.

    Pixels are weighted by a triangle with a width of two new pixels. This gives little aliasing and a sharp image.
    """
    if factor == 1:
        return volume
    values = volume.values
    sides = [round(side / factor) for side in values.shape[:2]]
    slices = torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, 2, 0)))[:, None]
    coarse = F.interpolate(slices, size=sides, mode="bilinear", antialias=True)[:, 0].numpy()
    steps = [old / new for old, new in zip(values.shape[:2], sides, strict=True)]
    return Volume(np.moveaxis(coarse, 0, 2), volume.affine @ _coarser(*steps, 1.0))


def average_slices(volume: Volume, n_averaged: int) -> Volume:
    """Make slices ``n_averaged`` times as thick; left-over slices at the end are dropped."""
    width, height, depth = volume.values.shape
    n_slices = depth // n_averaged
    groups = volume.values[:, :, : n_slices * n_averaged].reshape(width, height, n_slices, n_averaged)
    return Volume(groups.mean(axis=3, dtype=np.float32), volume.affine @ _coarser(1.0, 1.0, n_averaged))


def measure_ct_noise(thin: Volume, n_averaged: int) -> float:
    """Standard deviation of the noise that remains after slices are averaged [HU].

    The slices of a group are averaged alternately into two halves. Their difference holds the noise and little anatomy.
    Its median absolute deviation in flat soft tissue is scaled to that of the mean of all slices. Overlapping slices
    share some noise, which the difference does not show.

    Args:
        thin: slices on the grid of the clean image, before they are averaged.
        n_averaged: as in ``average_slices``; for 1, a slice is compared with the next.
    """
    n_group = max(n_averaged, 2)
    depth = thin.values.shape[2] // n_group * n_group
    groups = thin.values[:, :, :depth].reshape(*thin.values.shape[:2], -1, n_group)
    halves = [groups[..., start::2] for start in (0, 1)]
    difference = halves[0].mean(axis=3) - halves[1].mean(axis=3)
    flat = flat_soft_tissue(groups.mean(axis=3))
    single = robust_deviation(difference[flat]) / math.sqrt(sum(1 / half.shape[3] for half in halves))
    return single / math.sqrt(n_averaged)


def flat_soft_tissue(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find the soft tissue of a CT in which only noise varies, such as muscle, liver and the fat between."""
    smooth = ndimage.gaussian_filter(values, (1.5, 1.5, 0.0))
    steepness = np.hypot(np.gradient(smooth, axis=0), np.gradient(smooth, axis=1))
    soft = (smooth > SOFT_TISSUE[0]) & (smooth < SOFT_TISSUE[1])
    return soft & (steepness < np.percentile(steepness[soft], FLAT_SHARE))


def smooth_and_sample(volume: Volume, fwhm: float, voxel: Sequence[float]) -> Volume:
    """Smooth a PET scan, and sample it at voxels of any sides about the same centre [mm]."""
    sides = np.linalg.norm(volume.affine[:3, :3], axis=0)
    smooth = _smooth(volume.values, fwhm, sides)
    steps = np.asarray(voxel) / sides
    shape = tuple(int((side - 1) / step) + 1 for side, step in zip(smooth.shape, steps, strict=True))
    offset = (np.array(smooth.shape) - 1 - steps * (np.array(shape) - 1)) / 2
    sampled = ndimage.affine_transform(smooth, steps, offset, shape, order=3, mode="nearest")
    placed = np.diag([*steps, 1.0])
    placed[:3, 3] = offset
    return Volume(np.maximum(sampled, 0.0).astype(np.float32), volume.affine @ placed)


def measure_pet_noise(volume: Volume, fwhm: float) -> float:
    """Standard deviation of the noise that remains after smoothing, over the uptake, where the body's uptake is flat.

    Slices of even and of odd number are smoothed separately. Half of their difference is the noise of their mean, and
    some anatomy, so the true noise is lower.
    """
    sides = np.linalg.norm(volume.affine[:3, :3], axis=0) * (1, 1, 2)
    n_pairs = volume.values.shape[2] // 2
    even, odd = (_smooth(volume.values[:, :, start : 2 * n_pairs : 2], fwhm, sides) for start in (0, 1))
    mean = (even + odd) / 2
    body = mean > 0.5 * np.median(mean[mean > mean.mean()])
    steepness = np.sqrt(sum(np.gradient(mean, axis=axis) ** 2 for axis in (0, 1)))
    flat = body & (steepness < np.percentile(steepness[body], FLAT_SHARE))
    return robust_deviation((even - odd)[flat]) / 2 / float(np.median(mean[flat]))


def robust_deviation(values: NDArray[np.float32]) -> float:
    """Standard deviation of a normal distribution with the same median absolute deviation, robust against outliers."""
    return float(DEVIATION_PER_MAD * np.median(np.abs(values - np.median(values))))


def _smooth(values: NDArray[np.float32], fwhm: float, sides: NDArray[np.float64]) -> NDArray[np.float32]:
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(values, fwhm / FWHM_PER_SIGMA / sides, mode="nearest")
    return smooth


def _coarser(*steps: float) -> NDArray[np.float64]:
    """Affine from indices of voxels that cover ``steps`` old voxels along each axis to indices of old voxels."""
    coarser = np.diag([*steps, 1.0])
    coarser[:3, 3] = (np.array(steps) - 1) / 2
    return coarser
