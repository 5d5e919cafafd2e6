"""Change of the measured part of k-space by a restoration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bundle.tat.metrics.regions import Slice


def kspace_change(image: Slice, restored: Slice, kept: Sequence[float | None]) -> float | None:
    """Relative difference between a restored slice and the measured samples of k-space.

    Args:
        image: slice before ``(H, W)``, any unit.
        restored: slice after ``(H, W)``, in the same unit.
        kept: share of k-space that was measured along each axis, in (0, 1]; ``None`` where it is not known.

    Returns:
        Norm of the difference over the norm of the measured samples, without the mean of the slice. It is ``None``
        where a share is not known, or where the slice is constant.
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
