"""Restoring a volume slice by slice."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from torch import Tensor
from tqdm import tqdm

from bundle.tat.inferers.precision import AutocastInferer
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

_N_AXES = 3

# As MONAI declares it; ours returns one tensor.
Network = Callable[..., Tensor | Sequence[Tensor] | dict[Any, Tensor]]


class RestorationSliceInferer(Inferer):
    """Runs a two-dimensional network over whole slices, with a progress bar, and leaves constant slices alone.

    What MONAI's ``SliceInferer`` does, but for the volumes it keeps on the way, a map of overlaps above all: here the
    result is the only one. A constant slice (air, padding) holds nothing to restore; it comes back unchanged and costs
    nothing. When the device runs out of memory, as many slices go together as fit.

    On a CPU, several workers restore a slice each, with one thread inside. Whole slices do not wait for each other, as
    the threads of one operation do, so that other programs that compute cost little more than their share.

    Args:
        slice_axis: array axis that the slices are stacked along: 0, 1 or 2, or counted from the end: -1, -2, -3.
        slice_batch_size: slices that go through the network together.
        progress: show a bar with slices done, slices a second and time left.
        amp: compute products in half precision.
        amp_dtype: the format, see ``AutocastInferer``.
        workers: threads of the host that restore slices side by side; ``None`` takes as many as PyTorch has. With 1,
            and on other devices, ``slice_batch_size`` slices go together.

    Attributes:
        bar: where the slices are counted instead, for a run over several volumes.

    Shape:
        ``(B, 1, W, H, D) -> (B, 1, W, H, D)``; the two sides of a slice must suit the network.

    Raises:
        RefusedInputError: ``slice_axis`` is no axis of a volume; ``slice_batch_size`` or ``workers`` is not positive.
    """

    def __init__(
        self,
        slice_axis: int = -1,
        slice_batch_size: int = 4,
        progress: bool = True,
        amp: bool = False,
        amp_dtype: str = "bfloat16",
        workers: int | None = None,
    ) -> None:
        if not -_N_AXES <= slice_axis < _N_AXES:
            raise RefusedInputError(
                f"slice_axis is {slice_axis}: pass 0, 1 or 2, or -1, -2 or -3 to count from the end"
            )
        if slice_batch_size < 1:
            raise RefusedInputError(f"slice_batch_size is {slice_batch_size}: pass 1 or more")
        if workers is not None and workers < 1:
            raise RefusedInputError(f"workers is {workers}: pass 1 or more")
        super().__init__()
        self.slice_axis = slice_axis % _N_AXES
        self.slice_batch_size = slice_batch_size
        self.show_progress = progress
        self.on_slices = AutocastInferer(amp, amp_dtype)
        self.workers = workers
        self.bar: tqdm | None = None

    @torch.inference_mode()
    def __call__(self, inputs: Tensor, network: Network, *args: Any, **kwargs: Any) -> Tensor:
        """Restore every slice of each volume.

        Raises:
            torch.OutOfMemoryError: not even one slice fits on the device.
        """
        plain = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        restored = torch.empty_like(plain)

        def restore(slices: Tensor) -> Tensor:
            return self.on_slices(slices, network, *args, **kwargs)

        n_workers = self.workers or torch.get_num_threads()
        with self._open_bar(plain.shape[0] * plain.shape[self.slice_axis + 2]) as bar:
            for source, target in zip(plain, restored, strict=True):
                # (slices, 1, height, width), sharing the volume's memory.
                slices, places = (volume.movedim(self.slice_axis + 1, 0) for volume in (source, target))
                if plain.device.type == "cpu" and n_workers > 1:
                    restore_in_parallel(slices, places, restore, n_workers, bar)
                else:
                    restore_stack(slices, places, restore, self.slice_batch_size, bar)
        if isinstance(inputs, MetaTensor):
            restored = MetaTensor(restored)
            restored.copy_meta_from(inputs)
        return restored

    def _open_bar(self, n_slices: int) -> AbstractContextManager[tqdm]:
        if self.bar is not None:
            return nullcontext(self.bar)  # whoever opened it closes it
        return cast(
            AbstractContextManager[tqdm],
            tqdm(total=n_slices, unit="slice", desc="restoring", disable=not self.show_progress),
        )


def restore_in_parallel(
    slices: Tensor, places: Tensor, network: Callable[[Tensor], Tensor], n_workers: int, bar: tqdm
) -> None:
    """Run the network on whole slices side by side.

    A worker has one thread. Where there are fewer slices than workers, each slice has the threads of several.

    Args:
        slices: ``(slices, C, H, W)`` on the host.
        places: where the restored slices go, of the same shape.
        network: restores ``(1, C, H, W)``.
        n_workers: threads that compute at once.
        bar: is told of every slice.
    """

    # Inference mode holds for a thread, and so does the number of threads inside an operation.
    @torch.inference_mode()
    def restore(index: int) -> None:
        places[index : index + 1] = restore_varying(slices[index : index + 1].contiguous(), network)

    n_threads = torch.get_num_threads()
    n_at_once = min(n_workers, len(slices))
    pool = ThreadPoolExecutor(
        n_at_once, "restore", initializer=torch.set_num_threads, initargs=(n_workers // n_at_once,)
    )
    try:
        for _ in pool.map(restore, range(len(slices))):
            bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(n_threads)


def restore_stack(
    slices: Tensor, places: Tensor, network: Callable[[Tensor], Tensor], n_together: int, bar: tqdm
) -> None:
    """Run the network on slices, some at a time, and on fewer when memory runs out.

    Args:
        slices: ``(slices, C, H, W)``.
        places: where the restored slices go, of the same shape.
        network: restores ``(B, C, H, W)``.
        n_together: slices that go through the network together.
        bar: is told of every slice.

    Raises:
        torch.OutOfMemoryError: one slice alone does not fit.
    """
    start = 0
    while start < len(slices):
        part = slice(start, start + n_together)
        try:
            places[part] = restore_varying(slices[part].contiguous(), network)
        except torch.OutOfMemoryError:
            if n_together == 1:
                raise
            n_together //= 2
            logger.warning("out of memory on the device: restoring %d slices at a time from here on", n_together)
            continue
        bar.update(len(slices[part]))
        start += n_together


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
