"""Restoring a volume slice by slice."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from monai.inferers import SliceInferer
from torch import Tensor
from tqdm import tqdm

from bundle.tat.refusal import RefusedInputError

_N_AXES = 3

# As MONAI declares it; ours returns one tensor.
Network = Callable[..., Tensor | Sequence[Tensor] | dict[Any, Tensor]]


class RestorationSliceInferer(SliceInferer):
    """MONAI's ``SliceInferer`` over whole slices, with a progress bar in slices and constant slices left alone.

    A constant slice (air, padding) holds nothing to restore; it comes back unchanged and costs nothing.

    Args:
        slice_axis: array axis that the slices are stacked along: 0, 1 or 2, or counted from the end: -1, -2, -3.
        slice_batch_size: slices that go through the network together.
        progress: show a bar with slices done, slices a second and time left.

    Shape:
        ``(B, 1, W, H, D) -> (B, 1, W, H, D)``; the two sides of a slice must suit the network.

    Raises:
        RefusedInputError: ``slice_axis`` is no axis of a volume.
    """

    def __init__(self, slice_axis: int = -1, slice_batch_size: int = 4, progress: bool = True) -> None:
        if not -_N_AXES <= slice_axis < _N_AXES:
            raise RefusedInputError(
                f"slice_axis is {slice_axis}: pass 0, 1 or 2, or -1, -2 or -3 to count from the end"
            )
        super().__init__(roi_size=(-1, -1), spatial_dim=slice_axis % _N_AXES, sw_batch_size=slice_batch_size)
        self.show_progress = progress

    @torch.inference_mode()
    def __call__(self, inputs: Tensor, network: Network, *args: Any, **kwargs: Any) -> Tensor:
        """Restore every slice of each volume."""
        n_slices = inputs.shape[0] * inputs.shape[self.spatial_dim + 2]
        with tqdm(total=n_slices, unit="slice", desc="restoring", disable=not self.show_progress) as bar:

            def restore(slices: Tensor) -> Tensor:
                restored = restore_varying(slices, lambda varying: cast(Tensor, network(varying, *args, **kwargs)))
                bar.update(len(slices))
                return restored

            return cast(Tensor, super().__call__(inputs, restore))


def restore_varying(slices: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
    """Run the network on the slices that vary, and pass constant ones through.

    Args:
        slices: ``(B, C, H, W)``.
        network: restores ``(B, C, H, W)``.

    Returns:
        ``(B, C, H, W)``.
    """
    flat = slices.flatten(start_dim=1)
    varies = flat.amax(dim=1) > flat.amin(dim=1)
    if varies.all():
        return network(slices)
    restored = slices.clone()
    if varies.any():
        restored[varies] = network(slices[varies])
    return restored
