"""Whether an exported file gives the network's output, at sizes and batches that the recorder did not see."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import product
from typing import Final, TypedDict

import torch
from torch import Tensor, nn

from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

BOUND: Final = 1e-4  # largest absolute difference to the network's output; images lie in [0, 1]
BATCHES: Final = (1, 3)
N_RUNS: Final = 3  # threads that get in each other's way do so only now and then


class Difference(TypedDict):
    """How far a file is from the network, for images of one size and batch."""

    batch: int
    height: int
    width: int
    max_abs_error: float


def image_sizes(train_size: int) -> list[tuple[int, int]]:
    """Heights and widths to compare at: as trained on, smaller, larger than a TLC window on both axes, and on one.

    Args:
        train_size: of the network.
    """
    size = train_size
    return [(size, size), (16, size - 8), (size * 2 - 8, size * 3 + 8), (size * 2, 16)]


def compare(restore: Callable[[Tensor], Tensor], network: nn.Module, train_size: int) -> list[Difference]:
    """Compare what was loaded from a file with the network.

    Args:
        restore: what the file holds.
        network: what it was made from.
        train_size: of the network.

    Returns:
        The largest absolute difference at each size and batch.

    Raises:
        RefusedInputError: a difference exceeds ``BOUND``.
    """
    rows: list[Difference] = []
    for (height, width), batch in product(image_sizes(train_size), BATCHES):
        image = torch.rand(batch, 1, height, width, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = network(image)
            error = max(float((restore(image) - expected).abs().max()) for _ in range(N_RUNS))
        logger.info("%d x %d x %d: largest difference to the network %.1e", batch, height, width, error)
        if not error <= BOUND:
            raise RefusedInputError(f"the file is off by {error:.1e} where {BOUND} is allowed: it is not written")
        rows.append({"batch": batch, "height": height, "width": width, "max_abs_error": error})
    return rows
