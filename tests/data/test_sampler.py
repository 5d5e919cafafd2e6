from collections import Counter
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import CacheDataset
from monai.transforms import Compose, RandSpatialCropd

from bundle.tat.data.sampler import SeededSampleDataset, TaskBalancedBatchSampler
from bundle.tat.refusal import RefusedInputError

sizes = st.dictionaries(st.sampled_from(["CT", "MRI", "PET", "US"]), st.integers(1, 9), min_size=1)


def entries(sizes: dict[str, int], **extra) -> list[dict]:
    return [{"modality": task, **extra} for task, size in sizes.items() for _ in range(size)]


def draw(sampler: TaskBalancedBatchSampler, n_batches: int) -> list[list]:
    return list(islice(sampler, n_batches))


@given(sizes=sizes, n_per_task=st.integers(1, 5), seed=st.integers(0, 99))
def test_every_batch_is_balanced(sizes, n_per_task, seed):
    data = entries(sizes)
    for batch in draw(TaskBalancedBatchSampler(data, n_per_task, seed=seed), 20):
        assert Counter(data[index]["modality"] for index, _ in batch) == dict.fromkeys(sizes, n_per_task)


@given(sizes=sizes, seed=st.integers(0, 99))
def test_every_sample_comes_once_in_each_pass(sizes, seed):
    data = entries(sizes)
    batches = draw(TaskBalancedBatchSampler(data, 1, seed=seed), 3 * max(sizes.values()))
    for task, size in sizes.items():
        drawn = [index for batch in batches for index, _ in batch if data[index]["modality"] == task][: 3 * size]
        for start in range(0, 3 * size, size):
            assert len(set(drawn[start : start + size])) == size


def test_volumes_are_drawn_once_for_each_slice():
    data = [{"modality": "CT", "n_slices": 3}, {"modality": "CT", "n_slices": 1}]
    drawn = [index for batch in draw(TaskBalancedBatchSampler(data, 4), 5) for index, _ in batch]
    assert Counter(drawn) == {0: 15, 1: 5}


def test_order_is_the_seeds():
    data = entries({"CT": 20, "PET": 7})
    order = [draw(TaskBalancedBatchSampler(data, 3, seed=seed), 10) for seed in (1, 1, 2)]
    assert order[0] == order[1] != order[2]


def test_no_two_draws_of_a_sample_share_their_randomness():
    drawn = [one for batch in draw(TaskBalancedBatchSampler(entries({"CT": 2, "PET": 1}), 2), 50) for one in batch]
    assert len({one.seed for one in drawn}) == len(drawn)


@given(sizes=sizes, n_done=st.integers(0, 30))
def test_a_resumed_stream_goes_on_where_it_stopped(sizes, n_done):
    whole, resumed = (TaskBalancedBatchSampler(entries(sizes), 2, seed=4) for _ in range(2))
    resumed.n_batches_done = n_done
    assert draw(resumed, 5) == draw(whole, n_done + 5)[n_done:]


@given(sizes=sizes, n_ranks=st.integers(1, 4), n_per_task=st.integers(1, 3))
def test_ranks_together_draw_what_one_process_would(sizes, n_ranks, n_per_task):
    data = entries(sizes)
    one = draw(TaskBalancedBatchSampler(data, n_per_task * n_ranks), 6)
    ranks = [draw(TaskBalancedBatchSampler(data, n_per_task, rank=rank, n_ranks=n_ranks), 6) for rank in range(n_ranks)]
    for step in range(6):
        assert sorted(one[step]) == sorted(sample for rank in ranks for sample in rank[step])


def test_randomness_belongs_to_the_draw_and_not_to_the_loader():
    data = [{"image": torch.rand(1, 40, 40), "modality": "CT"} for _ in range(4)]
    transform = Compose([RandSpatialCropd("image", roi_size=(8, 8), random_size=False)])
    crops = []
    for n_done in (0, 3):
        sampler = TaskBalancedBatchSampler(data, 2, seed=1)
        sampler.n_batches_done = n_done
        dataset = SeededSampleDataset(CacheDataset(data, transform, progress=False))
        assert len(dataset) == 4
        crops.append([[dataset[one]["image"] for one in batch] for batch in draw(sampler, 6 - n_done)])
    for before, after in zip(crops[0][3:], crops[1], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not torch.equal(crops[0][0][0], crops[0][1][0])


def test_refusals():
    with pytest.raises(ValueError, match="the training list is empty"):
        TaskBalancedBatchSampler([], 1)
    with pytest.raises(ValueError, match="n_per_task is 0"):
        TaskBalancedBatchSampler(entries({"CT": 1}), 0)
    with pytest.raises(ValueError, match="rank 2 is none of 2 ranks"):
        TaskBalancedBatchSampler(entries({"CT": 1}), 1, rank=2, n_ranks=2)
    with pytest.raises(RefusedInputError, match=r"a\.nii names no 'modality': add it to the list of pairs"):
        TaskBalancedBatchSampler([*entries({"CT": 1}), {"image": "a.nii", "label": "b.nii"}], 1)
