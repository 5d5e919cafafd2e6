"""Plain filters by name, each with one free parameter, as baselines for a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from bundle.tat.kspace import crop_kspace, zero_fill
from bundle.tat.modality import EVALUATION_WINDOWS, Modality
from bundle.tat.optional import import_optional
from bundle.tat.refusal import RefusedInputError

Volume = NDArray[np.float32]

# Standard deviations of the Gaussian [pixels]. 0 leaves the image unchanged, for scans that no filter improves.
SIGMAS: Final = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 4.0)

# Largest part of its sum that the discrete Gaussian may lack before it is renormalised, and its largest width [pixels].
KERNEL_ERROR: Final = 1e-3
KERNEL_WIDTH: Final = 64

# Strengths of the edge-preserving filters, as shares of the evaluation window's width. 0 leaves the image unchanged.
STRENGTHS: Final = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)

# Spatial standard deviation of the bilateral filter [pixels].
BILATERAL_REACH: Final = 1.5

# Side of the compared patches and reach of the search around each pixel [pixels].
PATCH_SIZE: Final = 5
SEARCH_DISTANCE: Final = 6

# Free parameter of cubic convolution; -0.5 reproduces parabolas, the others sharpen more.
CUBIC_PARAMETERS: Final = (-0.25, -0.5, -0.75, -1.0, -1.25, -1.5)


@dataclass(frozen=True)
class Filter:
    """A plain filter with one free parameter.

    Args:
        name: its name in tables and configs.
        parameters: values to choose from.
        apply: ``(volume (H, W, D), parameter, modality) -> (H, W, D)``, in the modality's unit.
        modalities: modalities that it is meant for; other scans are not filtered.
    """

    name: str
    parameters: tuple[float, ...]
    apply: Callable[[Volume, float, Modality], Volume]
    modalities: frozenset[Modality] = frozenset(Modality)


def gaussian(volume: Volume, sigma: float, *, across_slices: bool = False) -> Volume:
    """Smooth every slice with a discrete Gaussian; edges repeat their last pixel.

    Args:
        volume: intensities ``(H, W, D)``, any unit, slices along the last axis.
        sigma: standard deviation [pixels], the same along both axes of a slice; 0 returns a copy.
        across_slices: smooth along the third axis, too; otherwise slices do not mix.

    Returns:
        The smoothed volume ``(H, W, D)``, in the unit of ``volume``.

    Raises:
        RefusedInputError: ``volume`` is not 3-D, or ``sigma`` is negative or not finite.

    Source:
        Lindeberg 1990, doi:10.1109/34.49051 (the discrete Gaussian), as SimpleITK's ``DiscreteGaussian`` computes it.
    """
    _check_axes(volume)
    if not 0.0 <= sigma < float("inf"):
        raise RefusedInputError(f"sigma is {sigma} pixels: pass a finite standard deviation of 0 or more")
    if sigma == 0.0:
        return volume.copy()
    # SimpleITK's axes are numpy's in reverse, so the slices lie along its first.
    smooth = SimpleITK.DiscreteGaussian(
        SimpleITK.GetImageFromArray(volume),
        variance=[sigma**2 * across_slices, sigma**2, sigma**2],
        maximumKernelWidth=KERNEL_WIDTH,
        maximumError=KERNEL_ERROR,
        useImageSpacing=False,
    )
    filtered: Volume = SimpleITK.GetArrayFromImage(smooth)
    return filtered


def non_local_means(volume: Volume, strength: float, modality: Modality) -> Volume:
    """Average each pixel with those of its slice whose surroundings look alike; needs scikit-image.

    Args:
        volume: intensities ``(H, W, D)``, in the modality's unit, slices along the last axis.
        strength: allowed difference of two patches, as a share of the evaluation window's width; 0 returns a copy.
        modality: decides the window.

    Returns:
        The filtered volume ``(H, W, D)``, in the modality's unit.

    Raises:
        RefusedInputError: ``volume`` is not 3-D, or ``strength`` is negative or not finite.
        ImportError: scikit-image is not installed.

    Source:
        Buades et al. 2005, doi:10.1109/CVPR.2005.38, as scikit-image's ``denoise_nl_means`` computes it.
    """
    options = {"patch_size": PATCH_SIZE, "patch_distance": SEARCH_DISTANCE, "preserve_range": True}
    h = _in_units(strength, modality)
    return _slice_by_slice(volume, h, lambda image: _restoration().denoise_nl_means(image, h=h, **options))


def total_variation(volume: Volume, strength: float, modality: Modality) -> Volume:
    """Smooth each slice by total variation denoising; needs scikit-image.

    Args:
        volume: intensities ``(H, W, D)``, in the modality's unit, slices along the last axis.
        strength: weight of the total variation, as a share of the evaluation window's width; 0 returns a copy.
        modality: decides the window.

    Returns:
        The filtered volume ``(H, W, D)``, in the modality's unit.

    Raises:
        RefusedInputError: ``volume`` is not 3-D, or ``strength`` is negative or not finite.
        ImportError: scikit-image is not installed.

    Source:
        Rudin et al. 1992, doi:10.1016/0167-2789(92)90242-F; Chambolle 2004, doi:10.1023/B:JMIV.0000011325.36760.1e, as
        scikit-image's ``denoise_tv_chambolle`` computes it.
    """
    weight = _in_units(strength, modality)
    return _slice_by_slice(volume, weight, lambda image: _restoration().denoise_tv_chambolle(image, weight=weight))


def bilateral(volume: Volume, strength: float, modality: Modality) -> Volume:
    """Average each pixel with pixels that are close in position and in intensity.

    Args:
        volume: intensities ``(H, W, D)``, in the modality's unit, slices along the last axis.
        strength: standard deviation of the intensities, as a share of the evaluation window's width; 0 returns a copy.
        modality: decides the window.

    Returns:
        The filtered volume ``(H, W, D)``, in the modality's unit.

    Raises:
        RefusedInputError: ``volume`` is not 3-D, or ``strength`` is negative or not finite.

    Source:
        Tomasi and Manduchi 1998, doi:10.1109/ICCV.1998.710815, as SimpleITK's ``Bilateral`` computes it.
    """
    deviation = _in_units(strength, modality)

    def smooth(image: Volume) -> Volume:
        filtered = SimpleITK.Bilateral(SimpleITK.GetImageFromArray(image), BILATERAL_REACH, deviation)
        return np.asarray(SimpleITK.GetArrayFromImage(filtered), dtype=np.float32)

    return _slice_by_slice(volume, deviation, smooth)


def bm3d(volume: Volume, strength: float, modality: Modality) -> Volume:
    """Filter groups of similar patches together; needs the package bm3d, which is free for non-commercial use.

    Args:
        volume: intensities ``(H, W, D)``, in the modality's unit, slices along the last axis.
        strength: standard deviation of white noise, as a share of the evaluation window's width; 0 returns a copy.
        modality: decides the window.

    Returns:
        The filtered volume ``(H, W, D)``, in the modality's unit.

    Raises:
        RefusedInputError: ``volume`` is not 3-D, or ``strength`` is negative or not finite.
        ImportError: bm3d is not installed.

    Source:
        Dabov et al. 2007, doi:10.1109/TIP.2007.901238; Maekinen et al. 2020, doi:10.1109/TIP.2020.3014721.
    """
    deviation, package = _in_units(strength, modality), import_optional("bm3d", extra="bm3d")
    return _slice_by_slice(volume, deviation, lambda image: package.bm3d(image, deviation))


def bicubic(volume: Volume, parameter: float, *, n_kept: tuple[int, int] | None = None) -> Volume:
    """Interpolate the acquired grid of a k-space truncated scan by cubic convolution.

    The input already lies on the full grid, with its outer k-space filled with zeros. Each slice is brought back to the
    acquired grid: the magnitude of the centre of its k-space. From there it is interpolated to the full grid, with
    pixel centres as in the truncation. Edges repeat their last pixel.

    Args:
        volume: intensities ``(H, W, D)``, any unit, slices along the last axis.
        parameter: free parameter of the cubic, below 0.
        n_kept: number of k-space lines that were acquired along each axis; ``None`` is a quarter, rounded down.

    Returns:
        The interpolated volume ``(H, W, D)``, in the unit of ``volume``.

    Raises:
        RefusedInputError: ``volume`` is not 3-D or not finite, or a slice has fewer lines than ``n_kept``.

    Source:
        Keys 1981, doi:10.1109/TASSP.1981.1163711, eq. 4 before its parameter is fixed at -0.5.
    """

    def interpolate(image: Volume) -> Volume:
        kept = crop_kspace(image, n_kept or (image.shape[0] // 4, image.shape[1] // 4))
        # The transform is orthonormal: fewer pixels of the same intensity have less energy.
        acquired = np.abs(zero_fill(kept, kept.shape, factor=1)) * np.sqrt(kept.size / image.size)
        rows, columns = (_cubic_weights(*sizes, parameter) for sizes in zip(image.shape, kept.shape, strict=True))
        interpolated: Volume = (rows @ acquired @ columns.T).astype(np.float32)
        return interpolated

    return _slice_by_slice(volume, 1.0, interpolate)


_PET: Final = frozenset({Modality.PET})
FILTERS: Final = MappingProxyType(
    {
        filter_.name: filter_
        for filter_ in (
            Filter("gaussian", SIGMAS, lambda volume, sigma, _: gaussian(volume, sigma)),
            # Voxels of PET are about cubes; slices of CT and MRI are several times thicker than a pixel is wide.
            Filter("gaussian_3d", SIGMAS, lambda v, s, _: gaussian(v, s, across_slices=True), _PET),
            Filter("bilateral", STRENGTHS, bilateral),
            Filter("non_local_means", STRENGTHS, non_local_means),
            Filter("total_variation", STRENGTHS, total_variation),
            Filter("bm3d", STRENGTHS, bm3d, frozenset({Modality.CT, Modality.PET})),
            Filter("bicubic", CUBIC_PARAMETERS, lambda volume, a, _: bicubic(volume, a), frozenset({Modality.MRI})),
        )
    }
)


def find_filters(names: Sequence[str]) -> list[Filter]:
    """Find filters by name, before the evaluation starts.

    Args:
        names: keys of ``FILTERS``.

    Returns:
        The filters, in that order.

    Raises:
        RefusedInputError: a name is unknown.
        ImportError: a filter needs scikit-image or bm3d, and it is not installed.
    """
    unknown = [name for name in names if name not in FILTERS]
    if unknown:
        raise RefusedInputError(f"baselines {unknown} are unknown: choose from {', '.join(FILTERS)}")
    if {"non_local_means", "total_variation"}.intersection(names):
        _restoration()
    if "bm3d" in names:
        import_optional("bm3d", extra="bm3d")
    return [FILTERS[name] for name in names]


def _restoration() -> Any:
    return import_optional("skimage.restoration", extra="report")


def _in_units(strength: float, modality: Modality) -> float:
    if not 0.0 <= strength < float("inf"):
        raise RefusedInputError(f"strength is {strength}: pass a share of the evaluation window's width, 0 or more")
    return strength * EVALUATION_WINDOWS[modality].width


def _check_axes(volume: Volume) -> None:
    if volume.ndim != 3:
        raise RefusedInputError(f"shape {volume.shape} is not (H, W, D): pass a volume with slices along the last axis")


def _slice_by_slice(volume: Volume, strength: float, smooth: Callable[[Volume], Volume]) -> Volume:
    """Apply a two-dimensional filter to each slice; a copy where its strength is 0."""
    _check_axes(volume)
    if strength == 0.0:
        return volume.copy()
    return np.stack([smooth(image) for image in np.moveaxis(volume, -1, 0)], axis=-1).astype(np.float32, copy=False)


def _cubic_weights(size: int, n_kept: int, parameter: float) -> NDArray[np.float64]:
    """Weights ``(size, n_kept)`` of the acquired pixels at each pixel of the full grid; ``size // 2`` is common."""
    position = (np.arange(size) - size // 2) * n_kept / size + n_kept // 2
    first = np.floor(position).astype(int) - 1
    weights = np.zeros((size, n_kept))
    for tap in range(4):
        distance = np.abs(position - (first + tap))
        near = (parameter + 2.0) * distance**3 - (parameter + 3.0) * distance**2 + 1.0
        far = parameter * (distance**3 - 5.0 * distance**2 + 8.0 * distance - 4.0)
        np.add.at(weights, (np.arange(size), np.clip(first + tap, 0, n_kept - 1)), np.where(distance <= 1, near, far))
    return weights
