"""Measures of a restored scan that need no clean scan to compare with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.metrics.fidelity import TISSUES
from bundle.tat.metrics.kspace_change import kspace_change
from bundle.tat.metrics.noise import bin_centres, flat_noise, radial_spectrum
from bundle.tat.metrics.regions import find_regions, smoothed
from bundle.tat.metrics.residual import measure_residual
from bundle.tat.metrics.uptake import HotPlace, hottest_places
from bundle.tat.modality import Modality

Volume = NDArray[np.float32]

# Number of measured slices, evenly spaced: more take time and give the same medians. A thorough report measures all.
N_SLICES: Final = 16
# Smoothing before voxels are assigned to tissues [pixels]: noise would move them from class to class.
TISSUE_SMOOTHING: Final = 2.0
_TINY: Final = 1e-6


@dataclass(frozen=True)
class SliceMeasures:
    """One slice, its intensities in the modality's unit.

    Args:
        index: which slice, from 0.
        noise_before: standard deviation in flat tissue of the input.
        noise_after: standard deviation in flat tissue of the restored slice.
        change_flat: root mean square of restored minus input in flat tissue.
        change_edges: root mean square of restored minus input at strong edges.
        change_body: root mean square of restored minus input in all of the body.
        autocorrelation: of the change, between neighbouring pixels.
        blur: correlation of the change with the second derivative of the anatomy, above 0 where edges were blurred.
        kspace_change: relative change of the measured k-space, for MRI; ``None`` where it is not known.
        spectrum: share of the power of the change in each bin of frequency, see ``radial_spectrum``.
    """

    index: int
    noise_before: float
    noise_after: float
    change_flat: float
    change_edges: float
    change_body: float
    autocorrelation: float
    blur: float
    kspace_change: float | None
    spectrum: tuple[float, ...]

    @property
    def edge_ratio(self) -> float:
        """Change at edges over that in flat tissue."""
        return self.change_edges / max(self.change_flat, _TINY)

    @property
    def body_ratio(self) -> float:
        """Change in the body over that in flat tissue."""
        return self.change_body / max(self.change_flat, _TINY)

    @property
    def removed_share(self) -> float:
        """Change in flat tissue over the noise of the input: 0 where no noise was removed, 1 where all of it was."""
        return self.change_flat / max(self.noise_before, _TINY)

    @property
    def mean_frequency(self) -> float:
        """Centre of gravity of the change's spectrum [cycles per pixel]."""
        total = sum(self.spectrum)
        return float(np.dot(bin_centres(), self.spectrum)) / total if total > 0 else 0.0


@dataclass(frozen=True)
class CaseMeasures:
    """One scan.

    Args:
        modality: what was scanned.
        n_slices: slices of the scan.
        slices: the measured slices, in their order; none where the scan shows too little tissue.
        pixel_sides: sides of a pixel of a slice [mm].
        share_outside: share of voxels that the network saw clipped.
        tissue_shifts: tissue -> mean of restored minus input [HU], for CT.
        activity: sum over all voxels times their volume, before and after [SUV ml], for PET.
        places: the hottest places, for PET.
        kspace_kept: share of k-space that each axis of a slice held before, for MRI.
        representation: distance of the network's task representation from training, see ``Representation``.
        disagreement: standard deviation of the results of eight flips and rotations, as its root mean square over the
            body, in the modality's unit; only for a thorough report.
    """

    modality: Modality
    n_slices: int
    slices: tuple[SliceMeasures, ...]
    pixel_sides: tuple[float, float] = (1.0, 1.0)
    share_outside: float = 0.0
    tissue_shifts: Mapping[str, float] = field(default_factory=dict)
    activity: tuple[float, float] | None = None
    places: tuple[HotPlace, ...] = ()
    kspace_kept: tuple[float | None, ...] = ()
    representation: float | None = None
    disagreement: float | None = None

    def median(self, name: str) -> float | None:
        """Median of a measure over the slices.

        Args:
            name: of a field or property of ``SliceMeasures``.

        Returns:
            The median; ``None`` where no slice has it.
        """
        values = [value for one in self.slices if (value := getattr(one, name)) is not None]
        return float(np.median(values)) if values else None


def chosen_slices(n_slices: int, *, every: bool) -> list[int]:
    """Which slices are measured.

    Args:
        n_slices: number of slices of the scan.
        every: measure all slices.

    Returns:
        Their indices: all, or at most ``N_SLICES`` that are evenly spaced and include the first and the last.
    """
    if every or n_slices <= N_SLICES:
        return list(range(n_slices))
    return sorted({round(place) for place in np.linspace(0, n_slices - 1, N_SLICES).tolist()})


def measure_slice(
    image: Volume, restored: Volume, modality: Modality, *, index: int = 0, kspace_kept: Sequence[float | None] = ()
) -> SliceMeasures | None:
    """Measure one slice.

    Args:
        image: slice before ``(H, W)``, in the modality's unit; of MRI, on the scale of training.
        restored: slice after ``(H, W)``, in the same unit.
        modality: of the scan.
        index: which slice, from 0.
        kspace_kept: for MRI, see ``CaseMeasures``.

    Returns:
        The measures; ``None`` for a slice with too little tissue.
    """
    regions = find_regions(restored, modality)
    if regions is None:
        return None
    residual = measure_residual(image, restored, regions)
    return SliceMeasures(
        index=index,
        noise_before=flat_noise(image, regions),
        noise_after=flat_noise(restored, regions),
        change_flat=residual.flat,
        change_edges=residual.edges,
        change_body=residual.body,
        autocorrelation=residual.autocorrelation,
        blur=residual.blur,
        kspace_change=kspace_change(image, restored, kspace_kept) if modality is Modality.MRI else None,
        spectrum=tuple(radial_spectrum(np.where(regions.body, restored - image, 0.0)).tolist()),
    )


def tissue_shifts(pairs: Sequence[tuple[Volume, Volume]]) -> dict[str, float]:
    """Mean shift of the CT numbers of each tissue by a restoration.

    Args:
        pairs: slices before and after ``(H, W)`` [HU].

    Returns:
        Tissue -> mean shift [HU]; tissues that no slice shows are left out.
    """
    sums = dict.fromkeys(TISSUES, (0.0, 0))
    for image, restored in pairs:
        smooth, change = smoothed(image, TISSUE_SMOOTHING), restored - image
        for tissue, (low, high) in TISSUES.items():
            inside = change[(smooth >= low) & (smooth <= high)]
            total, n_pixels = sums[tissue]
            sums[tissue] = total + float(inside.sum(dtype=np.float64)), n_pixels + inside.size
    return {tissue: total / n_pixels for tissue, (total, n_pixels) in sums.items() if n_pixels}


def uptake(image: Volume, restored: Volume, voxel: Sequence[float]) -> tuple[tuple[float, float], tuple[HotPlace, ...]]:
    """Total activity and the hottest places of PET, before and after.

    Args:
        image: volume before ``(W, H, D)`` [SUV].
        restored: volume after ``(W, H, D)`` [SUV].
        voxel: sides of a voxel [mm].

    Returns:
        Activity before and after [SUV ml], and the hottest places.
    """
    millilitres = math.prod(voxel) / 1000.0
    before, after = (float(volume.sum(dtype=np.float64)) * millilitres for volume in (image, restored))
    return (before, after), tuple(hottest_places(image, restored, voxel))
