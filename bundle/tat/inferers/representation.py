"""Recording a network's task representation of the scans that it restores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


@contextmanager
def recorded_representations(network: nn.Module) -> Iterator[list[NDArray[np.float32]]]:
    """Record the task representation of every slice that goes through a network within this context.

    Recording takes no time: the network computes the representation anyway. Slices that are restored in parallel come
    in any order.

    Args:
        network: its module ``tren`` gives the representations; without such a module nothing is recorded.

    Yields:
        List to which each batch adds its vectors ``(B, 4F)``.
    """
    recorded: list[NDArray[np.float32]] = []

    def record(_: nn.Module, __: object, vectors: Tensor) -> None:
        recorded.append(vectors.detach().float().cpu().numpy())

    tren = getattr(network, "tren", None)
    handle = tren.register_forward_hook(record) if isinstance(tren, nn.Module) else None
    try:
        yield recorded
    finally:
        if handle is not None:
            handle.remove()
