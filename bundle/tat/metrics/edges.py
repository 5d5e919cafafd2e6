"""Sharpness and ringing of an edge."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Bins that an edge is averaged in, over its whole width.
N_BINS: Final = 40


class EdgeProfile(NamedTuple):
    """Intensities across an edge, averaged along it.

    Args:
        distances: of the bins from the edge, evenly spaced [mm].
        values: 0 on the plateau at negative distances, 1 on the other plateau.
    """

    distances: NDArray[np.float64]
    values: NDArray[np.float64]


def edge_profile(
    distances: NDArray[np.floating], values: NDArray[np.floating], width: float, *, n_bins: int = N_BINS
) -> EdgeProfile:
    """Average the pixels about an edge by their distance from it, in bins far finer than the pixels.

    Args:
        distances: signed distance of each pixel from the edge [mm].
        values: their intensities, any unit; the plateaus are the means at distances from ``width`` to ``2 * width``.
        width: half the width of the region about the edge [mm].
        n_bins: bins over that region. Each must hold a pixel.

    Returns:
        The profile.

    Source:
        Richard et al. 2012, doi:10.1118/1.4725171: the edge of a cylinder as a task-based resolution.
    """
    near = np.abs(distances) <= width
    plateaus = [values[(sign * distances > width) & (sign * distances < 2 * width)].mean() for sign in (-1, 1)]
    relative = (values[near] - plateaus[0]) / (plateaus[1] - plateaus[0])
    edges = np.linspace(-width, width, n_bins + 1)
    place = np.digitize(distances[near], edges) - 1
    profile = np.array([relative[place == index].mean() for index in range(n_bins)])
    return EdgeProfile((edges[1:] + edges[:-1]) / 2, profile)


def rise_distance(profile: EdgeProfile) -> float:
    """Distance over which an edge goes from a tenth to nine tenths of its height [mm]."""
    rising = np.maximum.accumulate(profile.values)
    low, high = np.interp([0.1, 0.9], rising, profile.distances)
    return float(high - low)


def overshoot(profile: EdgeProfile) -> float:
    """How far the profile goes beyond the higher or the lower plateau, as a share of the edge's height.

    Truncated k-space gives 0.09, independent of how much is kept.

    Source:
        Gibbs 1899, doi:10.1038/059606a0.
    """
    return float(max(profile.values.max() - 1.0, -profile.values.min()))


def mtf50(profile: EdgeProfile) -> float:
    """Frequency at which the modulation transfer function falls to a half [1/mm].

    The transfer function is the Fourier transform of the slope, whose outer halves fall to 0 as a cosine.

    Source:
        ISO 12233:2023, edge-based spatial frequency response.
    """
    step = profile.distances[1] - profile.distances[0]
    inwards = np.clip(2.0 - 2.0 * np.abs(profile.distances) / np.abs(profile.distances).max(), 0.0, 1.0)
    slope = np.gradient(profile.values, step) * np.sin(np.pi / 2 * inwards) ** 2
    frequencies = np.arange(0.0, 0.5 / step, 1e-3)
    transfer = np.abs(np.exp(-2j * np.pi * np.outer(frequencies, profile.distances)) @ slope)
    below = np.flatnonzero(transfer < 0.5 * transfer[0])
    return float(frequencies[below[0]]) if len(below) else float(frequencies[-1])
