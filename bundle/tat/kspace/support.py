"""How much of k-space an image holds along each axis, estimated from its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Frequencies that a profile is sampled at, from zero to the end of the axis.
N_FREQUENCIES: Final = 100
# Ends that are tried, as shares of the axis. Below them, the spectrum of anatomy falls as steeply as at an end.
CANDIDATES: Final = np.arange(0.17, 0.95, 0.01)
# Drop of power at an end [powers of ten], beyond the usual fall of the spectrum. Truncated slices have 3 to 6. Images
# that a scanner zero-filled, filtered and rounded have 0.6 to 2. Images that fill k-space have less than 0.5.
MIN_DROP: Final = 0.6
# An axis with fewer pixels gives no estimate: its bands hold too few frequencies.
MIN_PIXELS: Final = 60
# Powers below this share of the largest are rounding.
FLOOR: Final = 1e-14


class AxisSupport(NamedTuple):
    """The part of one k-space axis that an image holds.

    Args:
        kept: share of the axis's frequencies around zero that holds the image. It is 1 where no end is found, and
            ``None`` where there is no estimate.
        drop: fall of the power at that end [powers of ten], beyond the usual fall of the spectrum. Where ``kept`` is 1,
            it is the largest that was found.
    """

    kept: float | None
    drop: float


def estimate_support(slices: Sequence[NDArray[Any]]) -> tuple[AxisSupport, AxisSupport]:
    """Find where the k-space of a scan ends along each axis of its slices.

    The power of a slice falls along an axis as a straight line over the logarithm of frequency. Where a scanner filled
    k-space with zeros, the power drops below that line, even in a magnitude image.

    Args:
        slices: of one scan, each ``(H, W)``, all of one shape, any unit. Constant slices are ignored.

    Returns:
        The support along the first and along the second axis.
    """
    profiles = [profile for image in slices if (profile := _log_profiles(image)) is not None]
    if not profiles:
        return AxisSupport(None, 0.0), AxisSupport(None, 0.0)
    # The median leaves out slices with artefacts and those that are nearly empty.
    first, second = np.median(profiles, axis=0)
    n_rows, n_columns = slices[0].shape
    return _axis_support(first, n_rows), _axis_support(second, n_columns)


def _log_profiles(image: NDArray[Any]) -> NDArray[np.float64] | None:
    """Logarithm of the power along both axes, ``(2, N_FREQUENCIES)``; ``None`` for a constant slice."""
    centred = image - image.mean(dtype=np.float64)
    # Anatomy that the edge cuts off would spread along the axes.
    windowed = centred * np.outer(*(np.hanning(size + 2)[1:-1] for size in image.shape))
    power = np.abs(np.fft.fft2(windowed)) ** 2
    if not power.any():
        return None
    return np.stack([_log_profile(power.sum(axis=1 - axis)) for axis in (0, 1)])


def _log_profile(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the power of one axis at evenly spaced frequencies, relative to that of the coarse structures."""
    half = power[: len(power) // 2 + 1]
    frequencies = np.arange(len(half)) * 2 / len(power)
    logarithm = np.log10(np.maximum(half, half.max() * FLOOR))
    profile = np.interp(_frequencies(), frequencies, logarithm)
    smooth = np.convolve(np.pad(profile, 1, mode="edge"), np.ones(3) / 3, "valid")
    level: NDArray[np.float64] = smooth - np.median(smooth[2:15])
    return level


def _frequencies() -> NDArray[np.float64]:
    return (np.arange(N_FREQUENCIES) + 0.5) / N_FREQUENCIES


def _axis_support(profile: NDArray[np.float64], n_pixels: int) -> AxisSupport:
    """The end with the largest drop."""
    if n_pixels < MIN_PIXELS:
        return AxisSupport(None, 0.0)
    drops = np.array([_drop_at(profile, end) for end in CANDIDATES])
    best = int(np.argmax(drops))
    drop = float(drops[best])
    if drop < MIN_DROP:
        return AxisSupport(1.0, drop)
    return AxisSupport(_half_height(profile, float(CANDIDATES[best])), drop)


def _band_width(end: float) -> float:
    """Width of the bands within and beyond an end; at a low end they are narrow, since the spectrum is steep there."""
    return float(min(0.12, 0.35 * end))


def _drop_at(profile: NDArray[np.float64], end: float) -> float:
    """How far the power beyond an end lies below the line through the power within; 0 where it rises again."""
    frequencies, width = _frequencies(), _band_width(end)
    line = (frequencies > 0.35 * end) & (frequencies < end - 0.15 * width)
    within = (frequencies > end - width) & (frequencies < end - 0.15 * width)
    beyond = (frequencies > end + 0.25 * width) & (frequencies < end + width)
    level = profile[within].mean()
    if profile[frequencies > end + 0.25 * width].max() > level - MIN_DROP / 2:
        return 0.0
    logarithm = np.log10(frequencies)
    slope = min(float(np.polyfit(logarithm[line], profile[line], 1)[0]), -0.5)
    expected = level + slope * (logarithm[beyond].mean() - logarithm[within].mean())
    return float(expected - profile[beyond].mean())


def _half_height(profile: NDArray[np.float64], end: float) -> float:
    """Where the power has fallen halfway, which an edge filter moves least."""
    frequencies, width = _frequencies(), _band_width(end)
    within = profile[(frequencies > end - width) & (frequencies < end - 0.15 * width)].mean()
    beyond = profile[(frequencies > end + 0.25 * width) & (frequencies < end + width)].mean()
    near = (frequencies > end - width) & (frequencies < end + width)
    fallen = np.flatnonzero(near & (profile < (within + beyond) / 2))
    return float(frequencies[fallen[0]]) if len(fallen) else end
