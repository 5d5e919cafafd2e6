"""Low-resolution magnetic resonance images by truncation of k-space."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.tat.kspace import truncate_kspace, zero_fill


def reduce_resolution(image: NDArray[Any], *, factor: int = 4) -> NDArray[np.float32]:
    """Make the low-resolution slice that the network is to super-resolve, on the grid of the clean one.

    Nothing in it is drawn at random, hence no seed.

    Args:
        image: clean magnitude slice, shape ``(H, W)``, arbitrary units.
        factor: how many times fewer samples of k-space are kept along each axis.

    Returns:
        Magnitude of the zero-filled reconstruction, shape ``(H, W)``, unit of ``image``.

    Raises:
        RefusedInputError: the image is not a finite slice, or is smaller than ``factor`` pixels.
    """
    kspace = truncate_kspace(image, factor=factor)
    height, width = image.shape
    return np.abs(zero_fill(kspace, (height, width), factor=factor)).astype(np.float32)
