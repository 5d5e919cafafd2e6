"""Noise of a slice, measured without a clean slice."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.metrics.regions import BLOCK_SIDE, Regions, Slice, to_blocks

# Bins of a spectrum, from 0 to the Nyquist frequency.
N_BINS: Final = 16
NYQUIST: Final = 0.5  # cycles per pixel


def flat_noise(image: Slice, regions: Regions) -> float:
    """Standard deviation of the noise in flat tissue.

    It is measured in each flat block, about the plane that fits the block best. The median over the blocks ignores the
    few blocks with a vessel or a wall in them.

    Args:
        image: slice ``(H, W)``, any unit.
        regions: of the slice.

    Returns:
        The standard deviation, in the unit of the image.
    """
    return float(np.median(_deviations(to_blocks(image)[regions.blocks])))


def radial_spectrum(image: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Share of the power in rings of frequency, from 0 to the Nyquist frequency.

    Args:
        image: noise or change ``(H, W)``, any unit; 0 outside the body.

    Returns:
        ``(N_BINS,)``, of sum 1; all 0 where there is no power. Frequencies beyond the Nyquist frequency, in the corners
        of k-space, are left out.

    Source:
        ICRU Report 87, 2012, section 3.4, for the radial average of the power spectrum.
    """
    power = np.abs(np.fft.rfft2(image)) ** 2
    # The real transform holds one of each pair of opposite frequencies, and only one of those without a partner.
    power[:, 1 : (image.shape[1] + 1) // 2] *= 2
    frequency = np.hypot(np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])[None, :])
    place = np.minimum((frequency * (N_BINS / NYQUIST)).astype(np.intp), N_BINS)
    sums = np.bincount(place.ravel(), weights=power.ravel(), minlength=N_BINS + 1)[:N_BINS]
    total = float(sums.sum())
    if total <= 0:
        return np.zeros(N_BINS)
    shares: NDArray[np.float64] = np.asarray(sums / total, dtype=np.float64)
    return shares


def bin_centres() -> NDArray[np.float64]:
    """Frequencies of the bins of ``radial_spectrum`` [cycles per pixel]."""
    centres: NDArray[np.float64] = (np.arange(N_BINS, dtype=np.float64) + 0.5) * (NYQUIST / N_BINS)
    return centres


def _deviations(blocks: Slice) -> NDArray[np.float64]:
    """Standard deviation of each block about its plane ``(blocks,)``."""
    values = blocks.astype(np.float64)
    slope = np.arange(BLOCK_SIDE) - (BLOCK_SIDE - 1) / 2
    ones = np.ones(BLOCK_SIDE)
    basis = np.stack(
        [np.outer(first, second).ravel() for first, second in ((ones, ones), (slope, ones), (ones, slope))]
    )
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    centred = values - values.mean(axis=1, keepdims=True)
    squares = (centred**2).sum(axis=1) - ((centred @ basis.T) ** 2).sum(axis=1)
    deviations: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0) / (BLOCK_SIDE**2 - len(basis)))
    return deviations
