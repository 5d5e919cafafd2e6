"""Whether an exported file gives the network's output, at sizes and batches that the recorder did not see."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor

from bundle.tat.networks import TAT
from bundle.tat.refusal import RefusedInputError

BOUND = 1e-4  # largest absolute difference to the network's output; images lie in [0, 1]
BATCHES = (1, 3)
N_RUNS = 3  # threads that get in each other's way do so only now and then


def image_sizes(tlc_window: int) -> list[tuple[int, int]]:
    """Height and width: two smaller than a TLC window, one larger on both axes, and one on one."""
    size = max(8 * (tlc_window // 12), 16)  # as trained on by the authors' rule, in whole multiples of 8
    return [(size, size), (16, size - 8), (size * 2 - 8, size * 3 + 8), (size * 2, 16)]


def compare(restore: Callable[[Tensor], Tensor], network: TAT) -> list[dict[str, Any]]:
    """Largest absolute difference at each size and batch; refuses more than the bound."""
    rows: list[dict[str, Any]] = []
    for (height, width), batch in product(image_sizes(network.tlc_window), BATCHES):
        image = torch.rand(batch, 1, height, width, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = network(image)
            error = max(float((restore(image) - expected).abs().max()) for _ in range(N_RUNS))
        print(f"    {batch} x {height} x {width}: {error:.1e}", flush=True)
        if not error <= BOUND:
            raise RefusedInputError(f"the file is off by {error:.1e} where {BOUND} is allowed: it is not written")
        rows.append({"batch": batch, "height": height, "width": width, "max_abs_error": error})
    return rows
