"""Measures of what a restoration keeps and what it adds, which a mean error over pixels does not show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bundle.tat.kspace import truncate_kspace
from bundle.tat.refusal import RefusedInputError

Volume = NDArray[np.float32]

# Classes of tissue by the intensity of the clean scan [HU]; voxels between two classes are edges and belong to neither.
TISSUES: Final = {"lung": (-950.0, -700.0), "fat": (-130.0, -60.0), "soft tissue": (0.0, 90.0), "bone": (250.0, 1500.0)}

# Side and stride of the square regions whose noise spectrum is taken [pixels], and what they may hold [HU].
REGION_SIDE: Final = 64
REGION_STRIDE: Final = 32
REGION_RANGE: Final = (-160.0, 240.0)
REGION_SHARE: Final = 0.95


class Bias(NamedTuple):
    """Difference of values to the clean values.

    Args:
        mean: mean difference, in the unit of the values.
        deviation: standard deviation of the differences, in the same unit.
        n_voxels: number of values.
    """

    mean: float
    deviation: float
    n_voxels: int


class Spectrum(NamedTuple):
    """Noise power spectrum, averaged around the origin.

    Args:
        frequencies: centres of the bins [1/mm].
        power: noise power [unit^2 mm^2].
        n_regions: regions that it is the mean of.
    """

    frequencies: NDArray[np.float64]
    power: NDArray[np.float64]
    n_regions: int

    @property
    def mean_frequency(self) -> float:
        """Centre of gravity [1/mm]: it falls where fine noise is removed and coarse noise stays."""
        return float((self.frequencies * self.power).sum() / self.power.sum())

    @property
    def variance(self) -> float:
        """Integral over the plane [unit^2]: the variance of the noise within the Nyquist circle."""
        width = self.frequencies[1] - self.frequencies[0]
        return float((2.0 * np.pi * self.frequencies * self.power).sum() * width)


class UptakeBias(NamedTuple):
    """Relative errors of values that are read from a PET scan.

    Args:
        total: of the sum over all voxels.
        lesion_mean: of the mean within the lesion (SUVmean).
        lesion_max: of the largest value within it (SUVmax).
        n_voxels: voxels of the lesion.
    """

    total: float
    lesion_mean: float
    lesion_max: float
    n_voxels: int


def kspace_error(volume: Volume, measured: Volume, *, factor: int = 4) -> float:
    """Relative difference between the measured k-space samples and those of a restored MRI.

    Args:
        volume: restored scan ``(H, W, D)``, slices along the last axis.
        measured: degraded scan of the same shape.
        factor: reduction factor of k-space along each axis; with 4, one line of four was kept.

    Returns:
        Norm of the difference over the norm of the measured samples, over all slices; 0 where they agree.
    """
    restored, kept = (
        np.stack([truncate_kspace(slice_, factor=factor) for slice_ in np.moveaxis(scan, -1, 0)])
        for scan in (volume, measured)
    )
    return float(np.linalg.norm(restored - kept) / np.linalg.norm(kept))


def tissue_bias(volume: Volume, clean: Volume) -> dict[str, Bias]:
    """Mean error of CT numbers by class of tissue: a restoration that moves them changes a density.

    Args:
        volume: scan to judge ``(H, W, D)`` [HU].
        clean: routine-dose scan ``(H, W, D)`` [HU]; it decides the class of a voxel.

    Returns:
        Class -> bias [HU]; classes without a voxel are left out.
    """
    found = {}
    for tissue, (low, high) in TISSUES.items():
        errors = (volume - clean)[(clean >= low) & (clean <= high)]
        if errors.size:
            found[tissue] = Bias(float(errors.mean()), float(errors.std()), errors.size)
    return found


def noise_power_spectrum(volume: Volume, clean: Volume, pixel_sides: Sequence[float]) -> Spectrum:
    """Spectrum of the difference between a CT scan and the clean scan, within soft tissue.

    Args:
        volume: scan to judge ``(H, W, D)`` [HU].
        clean: routine-dose scan ``(H, W, D)`` [HU].
        pixel_sides: sides of a pixel [mm].

    Returns:
        The spectrum [HU^2 mm^2] up to the Nyquist frequency.

    Raises:
        RefusedInputError: no region of 64 x 64 pixels lies within soft tissue.

    Source:
        ICRU Report 87, 2012, section 3.4; Siewerdsen et al. 2002, doi:10.1118/1.1513158.
    """
    regions = _soft_tissue_regions(volume - clean, clean)
    if not regions:
        raise RefusedInputError(
            f"no region of {REGION_SIDE} x {REGION_SIDE} pixels lies within soft tissue: pass a scan that shows one"
        )
    centred = np.stack(regions) - np.mean(regions, axis=(1, 2), keepdims=True)
    scale = pixel_sides[0] * pixel_sides[1] / REGION_SIDE**2
    power = (np.abs(np.fft.fft2(centred)) ** 2).mean(axis=0) * scale
    axes = [np.fft.fftfreq(REGION_SIDE, side) for side in pixel_sides]
    distance = np.hypot(*np.meshgrid(*axes, indexing="ij"))
    edges = np.linspace(0.0, 0.5 / max(pixel_sides), REGION_SIDE // 4 + 1)
    place = np.digitize(distance, edges) - 1
    counts = [(place == index) & (distance > 0) for index in range(len(edges) - 1)]
    radial = np.array([power[inside].mean() for inside in counts])
    return Spectrum((edges[1:] + edges[:-1]) / 2, radial, len(regions))


def uptake_bias(volume: Volume, clean: Volume, lesion: NDArray[np.bool_]) -> UptakeBias:
    """Relative errors of total activity and of a lesion's SUVmean and SUVmax.

    Args:
        volume: scan to judge ``(H, W, D)`` [SUV].
        clean: standard-count scan ``(H, W, D)`` [SUV].
        lesion: mask ``(H, W, D)``.

    Returns:
        The errors, as shares of the clean values.

    Raises:
        RefusedInputError: the mask is empty.
    """
    if not lesion.any():
        raise RefusedInputError(
            "the lesion mask is empty: pass a mask on the grid of this scan, with one voxel or more"
        )
    return UptakeBias(
        total=_relative(volume.sum(dtype=np.float64), clean.sum(dtype=np.float64)),
        lesion_mean=_relative(volume[lesion].mean(), clean[lesion].mean()),
        lesion_max=_relative(volume[lesion].max(), clean[lesion].max()),
        n_voxels=int(lesion.sum()),
    )


def _relative(value: np.floating[Any], true: np.floating[Any]) -> float:
    return float(value / true) - 1.0


def _soft_tissue_regions(difference: Volume, clean: Volume) -> list[Volume]:
    """Square regions of the differences that lie within soft tissue, from all slices."""
    low, high = REGION_RANGE
    soft = (clean >= low) & (clean <= high)
    n_rows, n_columns, n_slices = clean.shape
    boxes = [
        np.s_[top : top + REGION_SIDE, left : left + REGION_SIDE, index]
        for index in range(n_slices)
        for top in range(0, n_rows - REGION_SIDE + 1, REGION_STRIDE)
        for left in range(0, n_columns - REGION_SIDE + 1, REGION_STRIDE)
    ]
    return [difference[box] for box in boxes if soft[box].mean() >= REGION_SHARE]
