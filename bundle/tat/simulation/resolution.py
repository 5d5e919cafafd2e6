"""How much of k-space an MR image holds: was it truncated as the network's training images were?"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Bands just within and just beyond the kept part of an axis, as shares of where its frequencies end; between them lies
# the blur of the window that the slice is weighted with.
WITHIN: Final = (0.5, 0.85)
BEYOND: Final = (1.25, 1.7)

# An axis with fewer frequencies than this within a band tells nothing.
MIN_FREQUENCIES: Final = 3


def power_beyond(image: NDArray[Any], *, factor: int = 4) -> float:
    """Compare what a slice holds just beyond the central ``1 / factor`` of k-space with what it holds just within.

    The slice is weighted with a Hann window first: anatomy that the edge cuts off would spread along the axes.

    Args:
        image: slice, shape ``(H, W)``, any unit.
        factor: one of so many k-space lines would have been kept along each axis.

    Returns:
        Ratio of the mean powers, the larger of the two axes: about .01 for a slice that was truncated by ``factor`` and
        made a magnitude, .2 and more for one that was not; ``nan`` for a slice that is constant or too small to tell.
    """
    centred = image - image.mean(dtype=np.float64)
    windowed = centred * np.outer(*(np.hanning(size + 2)[1:-1] for size in image.shape))
    power = np.abs(np.fft.fft2(windowed)) ** 2
    ratios = [_ratio_along(power.sum(axis=1 - axis), factor) for axis in (0, 1)]
    return float(np.max(ratios))


def _ratio_along(power: NDArray[np.float64], factor: int) -> float:
    """The ratio along one axis, from the power of its frequencies."""
    frequencies = np.abs(np.fft.fftfreq(len(power))) * 2 * factor  # 1 where the kept part ends
    within, beyond = ((low < frequencies) & (frequencies < high) for low, high in (WITHIN, BEYOND))
    if min(np.count_nonzero(within), np.count_nonzero(beyond)) < MIN_FREQUENCIES or not power[within].any():
        return float("nan")
    return float(power[beyond].mean() / power[within].mean())
