"""Batches with an equal number of samples of each task, from sets of unequal size."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from monai.data import Dataset as MonaiDataset
from monai.transforms import Randomizable
from torch.utils.data import Dataset, Sampler

from bundle.tat.refusal import RefusedInputError


class SampleKey(NamedTuple):
    """One sample to be drawn.

    Attributes:
        item: its place in the datalist.
        seed: seed of the random transforms that it goes through this time.
    """

    item: int
    seed: int


class TaskBalancedBatchSampler(Sampler[list[SampleKey]]):
    """Endless batches that hold ``n_per_task`` samples of each task, also from sets of different sizes.

    Each task has a shuffled order of its samples, and a new one when all are drawn. So a small set is seen more often
    and no set is cut short. The samples and their random crops depend only on the seed and on the draw's place in the
    stream. Hence training that is resumed at step ``n`` gets the same samples, with any number of loader processes. And
    ``n_ranks`` ranks together draw what one process with ``n_ranks`` times ``n_per_task`` would draw.

    Args:
        data: datalist entries; a volume that says ``n_slices`` is drawn that many times in each pass.
        n_per_task: samples of each task in a batch of one rank.
        seed: seed of the order and of the samples' own seeds.
        rank: which of the ranks draws.
        n_ranks: how many ranks draw; no two draw the same sample of a pass.
        task_key: the entry that names a sample's task.

    Attributes:
        n_batches_done: batches that were drawn before the iteration starts.

    Raises:
        RefusedInputError: there is no sample, ``n_per_task`` is not positive, or an entry does not name its task.
        ValueError: ``rank`` is none of the ranks.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        n_per_task: int,
        *,
        seed: int = 0,
        rank: int = 0,
        n_ranks: int = 1,
        task_key: str = "modality",
    ) -> None:
        if not data:
            raise RefusedInputError("the training list is empty, so that there is no sample: add scans to it")
        if n_per_task < 1:
            raise RefusedInputError(f"n_per_task is {n_per_task}: pass 1 or more")
        if not 0 <= rank < n_ranks:
            raise ValueError(f"rank {rank} is none of {n_ranks} ranks")
        self.n_per_task = n_per_task
        self.seed = seed
        self.rank = rank
        self.n_ranks = n_ranks
        self.n_batches_done = 0
        self.tickets: dict[str, list[int]] = {}
        for index, entry in enumerate(data):
            if not entry.get(task_key):
                raise RefusedInputError(
                    f"{entry.get('image', entry)} names no {task_key!r}: add it to the list of pairs"
                )
            self.tickets.setdefault(str(entry[task_key]), []).extend([index] * int(entry.get("n_slices", 1)))

    def __iter__(self) -> Iterator[list[SampleKey]]:
        """Draw batches for ever, tasks in alphabetical order."""
        streams = [self._stream(task) for task in sorted(self.tickets)]
        while True:
            yield [next(stream) for stream in streams for _ in range(self.n_per_task)]

    def _stream(self, task: str) -> Iterator[SampleKey]:
        """Hand out this rank's part of one task's samples, from the first batch that is not done."""
        tickets, shuffled_pass, order = self.tickets[task], -1, [0]
        batch = self.n_batches_done
        while True:
            first = (batch * self.n_ranks + self.rank) * self.n_per_task
            for place in range(first, first + self.n_per_task):
                n_pass, position = divmod(place, len(tickets))
                if n_pass != shuffled_pass:
                    generator = torch.Generator().manual_seed(self._seed(task, "pass", n_pass))
                    order, shuffled_pass = torch.randperm(len(tickets), generator=generator).tolist(), n_pass
                yield SampleKey(tickets[order[position]], self._seed(task, "draw", place))
            batch += 1

    def _seed(self, *what: object) -> int:
        """A seed for one use of randomness, which differs from all others by its name."""
        return zlib.crc32("/".join(map(str, (self.seed, *what))).encode())


class SeededSampleDataset(Dataset[Any]):
    """A MONAI data set whose random transforms are seeded by each draw.

    Args:
        dataset: data set, cached or not, whose ``transform`` can be seeded.
    """

    def __init__(self, dataset: MonaiDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.dataset)

    def __getitem__(self, draw: SampleKey) -> Any:
        """The sample, with the random transforms that the draw's seed stands for."""
        cast(Randomizable, self.dataset.transform).set_random_state(seed=draw.seed)
        return self.dataset[draw.item]
