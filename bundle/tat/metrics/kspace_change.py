"""What a restoration does to the part of k-space that a scanner measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bundle.tat.metrics.regions import Slice


def kspace_change(image: Slice, restored: Slice, kept: Sequence[float | None]) -> float | None:
    """How far a restored slice is from the samples of k-space that were measured.

    Args:
        image: slice before ``(H, W)``, any unit.
        restored: slice after, likewise.
        kept: share of k-space that was measured along each axis, in (0, 1]; ``None`` where it is not known.

    Returns:
        Norm of the difference over the norm of the measured samples, but for the mean of the slice; ``None`` where it
        is not known which were measured, or the slice is constant.
    """
    if len(kept) != image.ndim or None in kept:
        return None
    measured = np.outer(
        *(
            np.abs(np.fft.fftfreq(side)) <= float(share or 0.0) / 2
            for side, share in zip(image.shape, kept, strict=True)
        )
    )
    measured[0, 0] = False
    before, change = (np.fft.fft2(slice_)[measured] for slice_ in (image, restored - image))
    norm = float(np.linalg.norm(before))
    return float(np.linalg.norm(change)) / norm if norm > 0 else None
