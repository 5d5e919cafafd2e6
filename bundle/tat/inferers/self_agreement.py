"""Whether a network restores a slice and its mirror images alike: differences show where the result is uncertain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bundle.tat.inferers.slices import Neighbours, RestorationSliceInferer

N_TURNS = 4


@torch.inference_mode()
def disagreement_of_slices(
    image: Tensor, restored: Tensor | None, inferer: RestorationSliceInferer, network: Callable[[Tensor], Tensor]
) -> dict[int, NDArray[np.float32]]:
    """Standard deviation over the eight flips and rotations of each slice.

    Args:
        image: volume on the network's scale ``(1, W, H, D)``; the sides of its slices must suit the network.
        restored: the network's result, of the same shape and scale; ``None`` where it is not known slice by slice.
        inferer: gives the axis that the slices are stacked along, and runs the network.
        network: restores a slice with its neighbours, ``(B, 1 + 2 context, H, W)``.

    Returns:
        Index of a slice -> map ``(H, W)`` on the network's scale.
    """
    slices = image.movedim(inferer.slice_axis + 1, 0)
    known = None if restored is None else restored.movedim(inferer.slice_axis + 1, 0)
    neighbours = Neighbours(slices, inferer.context)

    def restore(batch: Tensor) -> Tensor:
        return inferer.on_slices(batch, network)

    found = {}
    for index in range(len(slices)):
        # A constant slice comes back as it was, however it lies.
        if slices[index].amax() == slices[index].amin():
            found[index] = np.zeros(slices.shape[-2:], dtype=np.float32)
            continue
        with_neighbours = neighbours.gather(torch.tensor([index], device=slices.device))
        results = [] if known is None else [known[index, 0].cpu()]
        results += [
            _restored_turned(with_neighbours, n_turns, is_flipped, restore)
            for is_flipped in (False, True)
            for n_turns in range(N_TURNS)
            if known is None or is_flipped or n_turns
        ]
        spread: NDArray[np.float32] = torch.stack(results).std(dim=0, correction=0).numpy()
        found[index] = spread
    return found


def _restored_turned(image: Tensor, n_turns: int, is_flipped: bool, restore: Callable[[Tensor], Tensor]) -> Tensor:
    """A slice with its neighbours ``(1, C, H, W)`` restored flipped and turned, and turned back to ``(H, W)``."""
    turned = torch.rot90(image.flip(-1) if is_flipped else image, n_turns, (-2, -1))
    back = torch.rot90(restore(turned.contiguous()), -n_turns, (-2, -1))
    return (back.flip(-1) if is_flipped else back)[0, 0].cpu()
