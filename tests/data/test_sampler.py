from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.data.sampler import TaskBalancedBatchSampler

sizes = st.dictionaries(st.sampled_from(["CT", "MRI", "PET", "US"]), st.integers(1, 9), min_size=1)


def entries(sizes: dict[str, int], **extra) -> list[dict]:
    return [{"modality": task, **extra} for task, size in sizes.items() for _ in range(size)]


@given(sizes=sizes, n_per_task=st.integers(1, 5), seed=st.integers(0, 99))
def test_every_batch_is_balanced(sizes, n_per_task, seed):
    data = entries(sizes)
    for batch in islice(TaskBalancedBatchSampler(data, n_per_task, seed=seed), 20):
        assert Counter(data[index]["modality"] for index in batch) == dict.fromkeys(sizes, n_per_task)


@given(sizes=sizes, seed=st.integers(0, 99))
def test_every_sample_comes_once_in_each_pass(sizes, seed):
    data = entries(sizes)
    batches = list(islice(TaskBalancedBatchSampler(data, 1, seed=seed), 3 * max(sizes.values())))
    for task, size in sizes.items():
        drawn = [index for batch in batches for index in batch if data[index]["modality"] == task][: 3 * size]
        for start in range(0, 3 * size, size):
            assert len(set(drawn[start : start + size])) == size


def test_volumes_are_drawn_once_for_each_slice():
    data = [{"modality": "CT", "n_slices": 3}, {"modality": "CT", "n_slices": 1}]
    drawn = [index for batch in islice(TaskBalancedBatchSampler(data, 4), 5) for index in batch]
    assert Counter(drawn) == {0: 15, 1: 5}


def test_order_is_the_seeds():
    data = entries({"CT": 20, "PET": 7})
    order = [list(islice(TaskBalancedBatchSampler(data, 3, seed=seed), 10)) for seed in (1, 1, 2)]
    assert order[0] == order[1] != order[2]


def test_refusals():
    with pytest.raises(ValueError, match="the training list is empty"):
        TaskBalancedBatchSampler([], 1)
    with pytest.raises(ValueError, match="n_per_task is 0"):
        TaskBalancedBatchSampler(entries({"CT": 1}), 0)
