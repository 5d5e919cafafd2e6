"""Evaluation in strips of rows: intermediate results are small and stay in the processor's cache.

A convolution needs only a few rows above and below, so it can be evaluated on a few rows of its map at a time. The
results are those of the whole map. On a CPU it is several times faster, because evaluating whole maps mostly waits for
memory.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

# Default memory for the intermediate results of a strip [MiB]; more than the caches near the cores hold is slower.
STRIP_MEMORY: Final = 8.0


def evaluates_in_strips(features: Tensor) -> bool:
    """Whether strips replace the plain evaluation: on a CPU, where no gradient and no graph is recorded."""
    return runs_on_cpu(features) and not torch.is_grad_enabled()


def runs_on_cpu(features: Tensor) -> bool:
    """Whether a CPU evaluates the features now, and no graph is recorded for later use."""
    is_traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return features.device.type == "cpu" and not is_traced and not torch.compiler.is_compiling()


def strip_bounds(cuts: Sequence[int], n_rows: int) -> list[int]:
    """Where strips of at most ``n_rows`` rows begin, evenly between each two ``cuts``, and where the last one ends."""
    bounds = [cuts[0]]
    for top, bottom in pairwise(cuts):
        n_strips = -(-(bottom - top) // n_rows)
        bounds += [top + (bottom - top) * (index + 1) // n_strips for index in range(n_strips)]
    return bounds


def rows_within(max_memory: float, row_bytes: int) -> int:
    """How many rows of ``row_bytes`` fit in ``max_memory`` [MiB]; a strip has at least one."""
    return max(int(max_memory * 2**20 / row_bytes), 1)


def in_strips(local: Callable[[Tensor], Tensor], maps: Sequence[Tensor], *, halo: int, max_memory: float) -> Tensor:
    """Evaluate ``local(torch.cat(maps, 1))`` without the whole concatenation in memory.

    Args:
        local: function that keeps height and width, and needs at most ``halo`` rows above and below.
        maps: each ``(B, C_i, H, W)``.
        halo: rows on either side of a strip that are evaluated and dropped.
        max_memory: memory for the concatenated rows of a strip [MiB].

    Returns:
        ``(B, C, H, W)``.
    """
    row_bytes = sum(part[:, :, :1].numel() * part.element_size() for part in maps)
    # Strips that are not much taller than their halo would evaluate most rows twice.
    n_rows = max(rows_within(max_memory, row_bytes), 8 * halo)
    strips = []
    for top, bottom in pairwise(strip_bounds([0, maps[0].shape[-2]], n_rows)):
        first = max(top - halo, 0)
        strip = local(torch.cat([part[:, :, first : bottom + halo] for part in maps], 1))
        strips.append(strip[:, :, top - first : bottom - first])
    return torch.cat(strips, 2)
