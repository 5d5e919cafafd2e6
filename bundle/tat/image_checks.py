"""Checks of an image before anything is computed from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.tat.refusal import RefusedInputError


def check_image(image: NDArray[Any], name: str) -> None:
    """Refuse what is not one finite slice.

    Args:
        image: candidate, to be of shape ``(H, W)``.
        name: what the caller names it, for the message.

    Raises:
        RefusedInputError: the array is not two-dimensional, is empty, or holds NaN or infinity.
    """
    if image.ndim != 2 or image.size == 0:
        raise RefusedInputError(f"{name} has shape {image.shape}: pass one slice of shape (H, W) at a time")
    n_bad = int(np.count_nonzero(~np.isfinite(image)))
    if n_bad:
        raise RefusedInputError(f"{name} holds {n_bad} values that are NaN or infinite: replace them first")
