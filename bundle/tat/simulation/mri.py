"""Low-resolution MRI: the magnitude of a part of k-space, with the rest filled with zeros."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bundle.tat.image_checks import check_image
from bundle.tat.kspace.truncation import central_lines, truncate_kspace, zero_fill
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.checks import check_interval

EdgeFilter = Literal["none", "tukey", "gaussian"]


@dataclass(frozen=True)
class KSpaceCoverage:
    """The part of k-space that a scanner measures, and its filter.

    Args:
        kept: share of each axis's lines around zero that is measured, in (0, 1]; phase and frequency may differ.
        partial_fourier: share of the kept lines of the second axis that is actually measured, in (0.5, 1]. The others,
            at one end, stay zero.
        elliptical: leave out the corners, beyond the ellipse through the ends of the axes.
        edge_filter: window over the kept part against ringing. ``tukey`` falls as a cosine from 1 to 0 in the outer
            ``edge_width`` of each half axis. ``gaussian`` is ``exp(-2 (edge_width f)^2)``, with f = 1 at the end.
        edge_width: see ``edge_filter``, in (0, 1].
        noise: standard deviation of the noise of the real and of the imaginary part if all of k-space is measured, as a
            share of the brightest pixel. The noise of lines that are left out is removed with them. The magnitude has a
            Rician distribution.

    Raises:
        RefusedInputError: a parameter is outside its bounds.

    Source:
        Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618, for the noise of a magnitude.
    """

    kept: tuple[float, float] = (0.25, 0.25)
    partial_fourier: float = 1.0
    elliptical: bool = False
    edge_filter: EdgeFilter = "none"
    edge_width: float = 0.3
    noise: float = 0.0

    def __post_init__(self) -> None:
        for share in self.kept:
            check_interval(share, "kept", 0.0, 1.0)
        check_interval(self.partial_fourier, "partial_fourier", 0.5, 1.0)
        check_interval(self.edge_width, "edge_width", 0.0, 1.0)
        if self.edge_filter not in ("none", "tukey", "gaussian"):
            raise RefusedInputError(f"edge_filter is {self.edge_filter!r}: pass none, tukey or gaussian")
        if not 0.0 <= self.noise < math.inf:
            raise RefusedInputError(f"noise is {self.noise}: pass 0 or more")

    def n_kept(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Number of lines of each axis that are kept.

        Args:
            shape: ``(H, W)`` of the image.
        """
        rows, columns = (max(1, round(share * size)) for share, size in zip(self.kept, shape, strict=True))
        return rows, columns


def reduce_resolution(image: NDArray[Any], *, factor: int = 4) -> NDArray[np.float32]:
    """Make the low-resolution slice of the paper's protocol, on the grid of the clean slice.

    It is not random, so there is no seed.

    Args:
        image: clean magnitude slice, shape ``(H, W)``, arbitrary units.
        factor: reduction factor of k-space along each axis.

    Returns:
        Magnitude of the zero-filled reconstruction, shape ``(H, W)``, unit of ``image``.

    Raises:
        RefusedInputError: the image is not a finite slice, or is smaller than ``factor`` pixels.
    """
    kspace = truncate_kspace(image, factor=factor)
    height, width = image.shape
    return np.abs(zero_fill(kspace, (height, width), factor=factor)).astype(np.float32)


def acquire(image: NDArray[Any], *, seed: int, coverage: KSpaceCoverage) -> NDArray[np.float32]:
    """Measure a part of an image's k-space and reconstruct it as scanners do, on the grid of the clean image.

    With ``KSpaceCoverage()``, and sides that four divides, it is ``reduce_resolution``.

    Args:
        image: clean magnitude slice, shape ``(H, W)``, arbitrary units.
        seed: of the noise.
        coverage: the measured part, and its filter.

    Returns:
        Magnitude, shape ``(H, W)``, unit of ``image``.

    Raises:
        RefusedInputError: the image is not a finite slice.
    """
    check_image(image, "image")
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho"))
    if coverage.noise:
        deviation = coverage.noise * float(np.abs(image).max())
        real, imaginary = np.random.default_rng(seed).standard_normal((2, *spectrum.shape))
        spectrum = spectrum + deviation * (real + 1j * imaginary)
    measured = spectrum * kspace_window((image.shape[0], image.shape[1]), coverage)
    low = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(measured), norm="ortho"))
    return np.abs(low).astype(np.float32)


def kspace_window(shape: tuple[int, int], coverage: KSpaceCoverage) -> NDArray[np.float32]:
    """Weights of the centred k-space: 0 where nothing is measured, the edge filter elsewhere.

    Args:
        shape: ``(H, W)`` of the image.
        coverage: see ``KSpaceCoverage``.

    Returns:
        Values in [0, 1], shape ``(H, W)``.
    """
    n_kept = coverage.n_kept(shape)
    # Distance from the zero frequency; 1 is the end of the kept part.
    rows, columns = (np.abs(np.arange(size) - size // 2) / (n / 2) for size, n in zip(shape, n_kept, strict=True))
    window = np.zeros(shape, dtype=np.float32)
    block = tuple(central_lines(size, n) for size, n in zip(shape, n_kept, strict=True))
    filtered = np.outer(_edge_filter(rows, coverage), _edge_filter(columns, coverage))
    window[block] = filtered[block]
    if coverage.elliptical:
        window[rows[:, None] ** 2 + columns[None, :] ** 2 > 1.0] = 0.0
    n_missing = n_kept[1] - round(coverage.partial_fourier * n_kept[1])
    window[:, block[1].start : block[1].start + n_missing] = 0.0
    return window


def _edge_filter(distance: NDArray[np.float64], coverage: KSpaceCoverage) -> NDArray[np.float64]:
    """The window along one axis, at distances of 0 to 1 from the zero frequency to the end of the kept part."""
    if coverage.edge_filter == "tukey":
        into = ((distance - 1.0 + coverage.edge_width) / coverage.edge_width).clip(0.0, 1.0)
        return 0.5 + 0.5 * np.cos(np.pi * into)
    if coverage.edge_filter == "gaussian":
        return np.exp(-2.0 * (coverage.edge_width * distance) ** 2)
    return np.ones_like(distance)
