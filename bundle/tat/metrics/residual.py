"""Whether a restoration changed noise or structure.

Let the input be the clean slice plus noise ``n``, and let ``r`` be the restored slice minus the input. If ``r`` removes
only noise, it is as large at edges as in flat tissue, and has no correlation with the anatomy.

The error changes from ``n`` to ``n + r``. Let the remaining noise have no correlation with the removed noise. Then the
mean square error falls by that of the removed noise, and rises by that of the removed structure. Edges come out worse
where the removed structure is larger than the removed noise. There, ``r`` at edges is more than the root of 2 times
``r`` in flat tissue.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bundle.tat.metrics.regions import Regions, Slice, to_blocks

# Keeps ratios and logarithms finite where nothing was changed.
_TINY = 1e-6


class Residual(NamedTuple):
    """The change of a slice by a restoration.

    Args:
        flat: root mean square of the change in flat tissue, in the unit of the slice.
        edges: root mean square of the change at strong edges, in the same unit.
        body: root mean square of the change in all of the body, in the same unit.
        autocorrelation: of the change, between neighbouring pixels within the body, -1 to 1; 0 for white noise.
        blur: correlation of the change with the second derivative of the anatomy, -1 to 1. It is above 0 where edges
            became less steep, and below 0 where they became steeper.
    """

    flat: float
    edges: float
    body: float
    autocorrelation: float
    blur: float

    @property
    def edge_ratio(self) -> float:
        """Change at edges over that in flat tissue; above 1.41 (the root of 2), edges come out worse."""
        return self.edges / max(self.flat, _TINY)

    @property
    def body_ratio(self) -> float:
        """Change in all of the body over that in flat tissue."""
        return self.body / max(self.flat, _TINY)


def measure_residual(image: Slice, restored: Slice, regions: Regions) -> Residual:
    """Measure the change of a slice, and whether it looks like noise.

    Args:
        image: slice before ``(H, W)``, any unit.
        restored: slice after ``(H, W)``, in the same unit.
        regions: of the slice.

    Returns:
        The measures.
    """
    change = (restored - image).astype(np.float64)
    within = np.where(regions.body, change, 0.0)
    total = float((within**2).sum())
    beside = (float((within[1:] * within[:-1]).sum()) + float((within[:, 1:] * within[:, :-1]).sum())) / 2
    return Residual(
        flat=_rms(to_blocks(change)[regions.blocks]),
        edges=_rms(change[regions.edges]),
        body=_rms(change[regions.body]),
        autocorrelation=beside / total if total > 0 else 0.0,
        blur=_correlation(change[regions.body], _laplacian(regions.smooth)[regions.body]),
    )


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt((values**2).mean()))


def _laplacian(image: Slice) -> Slice:
    """Sum of the second derivatives along both axes, in the unit of the image per square pixel."""
    padded = np.pad(image, 1, mode="edge")
    laplacian: Slice = padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2] - 4 * image
    return laplacian


def _correlation(first: NDArray[np.float64], second: Slice) -> float:
    """Pearson's coefficient; 0 where one of the two is constant."""
    first, second = first - first.mean(), second - second.mean()
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norms if norms > 0 else 0.0
