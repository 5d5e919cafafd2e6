"""Whether an exported file gives the network's output, at sizes and batches other than the recorded one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import product
from typing import Final, TypedDict

import torch
from torch import Tensor

from bundle.tat.networks import TAT
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

BOUND: Final = 1e-4  # largest absolute difference to the network's output; images lie in [0, 1]
BATCHES: Final = (1, 3)
N_RUNS: Final = 3  # a fault between threads shows only in some runs


class Difference(TypedDict):
    """The difference between a file and the network, for images of one size and batch."""

    batch: int
    height: int
    width: int
    max_abs_error: float


def image_sizes(tlc_window: int) -> list[tuple[int, int]]:
    """Heights and widths to compare at: two smaller than a TLC window, one larger on both axes, and one on one.

    Args:
        tlc_window: of the network.
    """
    size = max(8 * (tlc_window // 12), 16)  # as trained on by the authors' rule, in whole multiples of 8
    return [(size, size), (16, size - 8), (size * 2 - 8, size * 3 + 8), (size * 2, 16)]


def compare(restore: Callable[[Tensor], Tensor], network: TAT) -> list[Difference]:
    """Compare what was loaded from a file with the network.

    Args:
        restore: what the file holds.
        network: what it was made from.

    Returns:
        The largest absolute difference at each size and batch.

    Raises:
        RefusedInputError: a difference exceeds ``BOUND``.
    """
    rows: list[Difference] = []
    n_channels = network.embed.in_channels
    for (height, width), batch in product(image_sizes(network.tlc_window), BATCHES):
        image = torch.rand(batch, n_channels, height, width, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = network(image)
            error = max(float((restore(image) - expected).abs().max()) for _ in range(N_RUNS))
        logger.info("%d x %d x %d: largest difference to the network %.1e", batch, height, width, error)
        if not error <= BOUND:
            raise RefusedInputError(
                f"the file is not written: its output differs from the network by {error:.1e}, {BOUND} at most. "
                "Use a version of PyTorch that the bundle is tested with"
            )
        rows.append({"batch": batch, "height": height, "width": width, "max_abs_error": error})
    return rows
