"""Batches with an equal number of samples of each task, from sets of unequal size."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler


class TaskBalancedBatchSampler(Sampler[list[int]]):
    """Endless batches that hold ``n_per_task`` samples of each task, whatever the sizes of their sets.

    Each task's samples come in a shuffled order of their own that starts anew when it is used up, so a small set is
    seen more often and no set is cut short. The order is a function of the seed and of nothing else.

    Args:
        data: datalist entries; a volume that says ``n_slices`` is drawn that many times in each pass.
        n_per_task: samples of each task in a batch.
        seed: seed of the order.
        task_key: the entry that names a sample's task.

    Raises:
        ValueError: there is no sample, or ``n_per_task`` is not positive.
    """

    def __init__(
        self, data: Sequence[dict[str, Any]], n_per_task: int, *, seed: int = 0, task_key: str = "modality"
    ) -> None:
        if not data:
            raise ValueError("no samples to draw batches from: the training list is empty")
        if n_per_task < 1:
            raise ValueError(f"n_per_task is {n_per_task}: at least one sample of each task is needed")
        self.n_per_task = n_per_task
        self.seed = seed
        self.tickets: dict[str, list[int]] = {}
        for index, entry in enumerate(data):
            self.tickets.setdefault(str(entry[task_key]), []).extend([index] * int(entry.get("n_slices", 1)))

    def __iter__(self) -> Iterator[list[int]]:
        """Draw batches for ever, tasks in alphabetical order."""
        streams = [
            self._stream(self.tickets[task], self.seed + number) for number, task in enumerate(sorted(self.tickets))
        ]
        while True:
            yield [next(stream) for stream in streams for _ in range(self.n_per_task)]

    @staticmethod
    def _stream(tickets: list[int], seed: int) -> Iterator[int]:
        """Shuffle one task's samples, hand them out, and start again."""
        generator = torch.Generator().manual_seed(seed)
        while True:
            for position in torch.randperm(len(tickets), generator=generator).tolist():
                yield tickets[position]
