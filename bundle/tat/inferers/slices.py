"""Restoring a volume slice by slice."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from torch import Tensor
from tqdm import tqdm

from bundle.tat.inferers.planes import average_planes, is_in_planes, n_slices_to_restore
from bundle.tat.inferers.precision import AutocastInferer
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

_N_AXES = 3

# As MONAI declares it; ours returns one tensor.
Network = Callable[..., Tensor | Sequence[Tensor] | dict[Any, Tensor]]


class RestorationSliceInferer(Inferer):
    """Runs a two-dimensional network over whole slices, with a progress bar, and leaves constant slices alone.

    It replaces MONAI's ``SliceInferer``, which keeps further volumes in memory, such as a map of overlaps. Here the
    result is the only further volume, and ``restore_in_place`` makes none unless it restores in three planes. A
    constant slice (air, padding) holds nothing to restore: it comes back unchanged and takes no time. When the device
    runs out of memory, fewer slices go through the network together.

    On a CPU, several workers restore one slice each, with one thread per worker. Whole slices do not wait for each
    other, as the threads of one operation do. So other programs on the same CPU slow the restoration little.

    A volume whose metadata ask for it is restored in its three planes, see ``average_planes``.

    Args:
        slice_axis: array axis that the slices are stacked along: 0, 1 or 2, or counted from the end: -1, -2, -3.
        slice_batch_size: slices that go through the network together.
        progress: show a bar with slices done, slices a second and time left.
        amp: compute products in half precision.
        amp_dtype: the format, see ``AutocastInferer``.
        workers: threads of the host that restore slices side by side; ``None`` takes as many as PyTorch has. With 1,
            and on other devices, ``slice_batch_size`` slices go together.
        context: neighbouring slices on each side that the network takes as channels before and after the slice. At the
            ends of the volume the first and the last slice stand for those that are missing.

    Attributes:
        bar: a progress bar that counts the slices of several volumes, instead of one for each volume.

    Shape:
        ``(B, 1, W, H, D) -> (B, 1, W, H, D)``; the two sides of a slice must suit the network, which takes
        ``(B, 1 + 2 context, H, W)`` to ``(B, 1, H, W)``.

    Raises:
        RefusedInputError: ``slice_axis`` is no axis of a volume. ``slice_batch_size`` or ``workers`` is not positive.
            ``context`` is negative.
    """

    def __init__(
        self,
        slice_axis: int = -1,
        slice_batch_size: int = 4,
        progress: bool = True,
        amp: bool = False,
        amp_dtype: str = "bfloat16",
        workers: int | None = None,
        context: int = 0,
    ) -> None:
        if not -_N_AXES <= slice_axis < _N_AXES:
            raise RefusedInputError(
                f"slice_axis is {slice_axis}: pass 0, 1 or 2, or -1, -2 or -3 to count from the end"
            )
        if slice_batch_size < 1:
            raise RefusedInputError(f"slice_batch_size is {slice_batch_size}: pass 1 or more")
        if workers is not None and workers < 1:
            raise RefusedInputError(f"workers is {workers}: pass 1 or more")
        if context < 0:
            raise RefusedInputError(f"context is {context}: pass 0 or more")
        super().__init__()
        self.slice_axis = slice_axis % _N_AXES
        self.slice_batch_size = slice_batch_size
        self.show_progress = progress
        self.on_slices = AutocastInferer(amp, amp_dtype)
        self.workers = workers
        self.context = context
        self.bar: tqdm | None = None

    def __call__(self, inputs: Tensor, network: Network, *args: Any, **kwargs: Any) -> Tensor:
        """Restore every slice of each volume; the inputs stay as they are.

        Raises:
            torch.OutOfMemoryError: not even one slice fits on the device.
        """
        restored = (inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs).clone()
        self.restore_in_place(restored, network, *args, in_planes=is_in_planes(inputs), **kwargs)
        if isinstance(inputs, MetaTensor):
            restored = MetaTensor(restored)
            restored.copy_meta_from(inputs)
        return restored

    @torch.inference_mode()
    def restore_in_place(
        self, volumes: Tensor, network: Network, *args: Any, in_planes: bool = False, **kwargs: Any
    ) -> None:
        """Restore every slice of each volume, in the memory of the volumes themselves.

        Args:
            volumes: ``(B, 1, W, H, D)`` without metadata; they become the restored volumes.
            network: as for ``__call__``.
            *args: further arguments of the network.
            in_planes: restore along all three axes and average, instead of along ``slice_axis`` only.
            **kwargs: further keyword arguments of the network.

        Raises:
            torch.OutOfMemoryError: not even one slice fits on the device.
        """

        def restore(slices: Tensor) -> Tensor:
            return self.on_slices(slices, network, *args, **kwargs)

        n_slices = len(volumes) * n_slices_to_restore(volumes, self.slice_axis, in_planes=in_planes)
        with self._open_bar(n_slices) as bar:
            along = partial(self._restore_along, restore=restore, bar=bar)
            if in_planes:
                average_planes(volumes, self.slice_axis, along)
            else:
                along(volumes, self.slice_axis)

    def _restore_along(self, volumes: Tensor, axis: int, *, restore: Callable[[Tensor], Tensor], bar: tqdm) -> None:
        """Restore the slices that are stacked along an axis, in the memory of the volumes."""
        n_workers = self.workers or torch.get_num_threads()
        for volume in volumes:
            # (slices, 1, height, width), sharing the volume's memory.
            neighbours = Neighbours(volume.movedim(axis + 1, 0), self.context)
            if volumes.device.type == "cpu" and n_workers > 1:
                restore_in_parallel(neighbours, restore, n_workers, bar)
            else:
                restore_stack(neighbours, restore, self.slice_batch_size, bar)

    def _open_bar(self, n_slices: int) -> AbstractContextManager[tqdm]:
        if self.bar is not None:
            return nullcontext(self.bar)  # its owner closes it
        return cast(
            AbstractContextManager[tqdm],
            tqdm(total=n_slices, unit="slice", desc="restoring", disable=not self.show_progress),
        )


class Neighbours(NamedTuple):
    """Slices of a volume, from which each slice can be taken with its neighbours.

    Args:
        slices: ``(slices, C, H, W)``, sharing the volume's memory.
        context: neighbours on each side.
    """

    slices: Tensor
    context: int

    def gather(self, indices: Tensor) -> Tensor:
        """Copy some slices, each with its neighbours as channels before and after its own.

        Args:
            indices: ``(B,)``, which slices.

        Returns:
            ``(B, (1 + 2 context) C, H, W)``.
        """
        around = torch.arange(-self.context, self.context + 1, device=indices.device)
        wanted = (indices[:, None] + around).clamp(0, len(self.slices) - 1)
        return self.slices[wanted].flatten(1, 2).contiguous()

    def restore(self, start: int, stop: int, network: Callable[[Tensor], Tensor]) -> Tensor:
        """Run the network on the slices that vary, and pass constant ones through.

        Args:
            start: first slice.
            stop: slice after the last one.
            network: restores ``(B, (1 + 2 context) C, H, W)``, to ``(B, C, H, W)``.

        Returns:
            ``(stop - start, C, H, W)``.
        """
        own = self.slices[start:stop]
        flat = own.flatten(start_dim=1)
        varies = flat.amax(dim=1) > flat.amin(dim=1)
        indices = torch.arange(start, start + len(own), device=own.device)
        if varies.all():
            return network(self.gather(indices))
        restored = own.clone()
        if varies.any():
            restored[varies] = network(self.gather(indices[varies]))
        return restored


class LateWriter:
    """Writes restored slices over those of a volume, each when no other slice needs it as a neighbour any more.

    Args:
        neighbours: the slices.
    """

    def __init__(self, neighbours: Neighbours) -> None:
        self._places = neighbours.slices
        self._context = neighbours.context
        self._waiting: deque[Tensor] = deque()
        self._n_written = 0

    def put(self, restored: Tensor) -> None:
        """Take the next slices.

        Args:
            restored: ``(B, C, H, W)``, made by a network that has read the neighbours of these slices.
        """
        self._waiting.extend(restored)
        self._write(self._context)

    def finish(self) -> None:
        """Write what still waits, after the last slice."""
        self._write(0)

    def _write(self, n_waiting: int) -> None:
        while len(self._waiting) > n_waiting:
            self._places[self._n_written] = self._waiting.popleft()
            self._n_written += 1


def restore_in_parallel(neighbours: Neighbours, network: Callable[[Tensor], Tensor], n_workers: int, bar: tqdm) -> None:
    """Run the network on whole slices side by side, and write the results over them.

    A worker has one thread. Where there are fewer slices than workers, each slice has the threads of several.

    Args:
        neighbours: the slices, on the host; they become the restored slices.
        network: see ``Neighbours.restore``; gets one slice at a time.
        n_workers: threads that compute at once.
        bar: counts every slice.
    """

    # Inference mode holds for a thread, and so does the number of threads inside an operation.
    @torch.inference_mode()
    def restore(index: int) -> Tensor:
        return neighbours.restore(index, index + 1, network)

    n_threads, n_slices = torch.get_num_threads(), len(neighbours.slices)
    n_at_once = min(n_workers, n_slices)
    pool = ThreadPoolExecutor(
        n_at_once, "restore", initializer=torch.set_num_threads, initargs=(n_workers // n_at_once,)
    )
    writer = LateWriter(neighbours)
    try:
        # In the order of the slices, not in the order in which they are finished.
        for restored in pool.map(restore, range(n_slices)):
            writer.put(restored)
            bar.update()
        writer.finish()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(n_threads)


def restore_stack(neighbours: Neighbours, network: Callable[[Tensor], Tensor], n_together: int, bar: tqdm) -> None:
    """Run the network on several slices at a time, on fewer when memory runs out, and write the results over them.

    Args:
        neighbours: the slices; they become the restored slices.
        network: see ``Neighbours.restore``.
        n_together: slices that go through the network together.
        bar: counts every slice.

    Raises:
        torch.OutOfMemoryError: one slice alone does not fit.
    """
    start, n_slices = 0, len(neighbours.slices)
    writer = LateWriter(neighbours)
    while start < n_slices:
        stop = min(start + n_together, n_slices)
        try:
            restored = neighbours.restore(start, stop, network)
        except torch.OutOfMemoryError:
            if n_together == 1:
                raise
            n_together //= 2
            logger.warning("out of memory on the device: restoring %d slices at a time from here on", n_together)
            continue
        writer.put(restored)
        bar.update(stop - start)
        start = stop
    writer.finish()
