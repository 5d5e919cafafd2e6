from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bundle.tat.networks.strips import evaluates_in_strips, in_strips, strip_bounds


@given(size=st.integers(1, 300), n_rows=st.integers(1, 300), cut=st.integers(0, 300))
def test_strips_follow_each_other_and_none_crosses_a_cut(size, n_rows, cut):
    cuts = sorted({0, min(cut, size), size})
    bounds = strip_bounds(cuts, n_rows)
    assert set(cuts) <= set(bounds)
    assert all(0 < bottom - top <= n_rows for top, bottom in pairwise(bounds))


@given(height=st.integers(1, 60), n_maps=st.integers(1, 3), max_memory=st.sampled_from([0.0, 0.001, 0.01]))
def test_convolutions_in_strips_are_those_of_the_whole_map(height, n_maps, max_memory):
    torch.manual_seed(0)
    local = nn.Sequential(nn.Conv2d(4 * n_maps, 5, 3, padding=1), nn.GELU(), nn.Conv2d(5, 2, 3, padding=1))
    maps = [torch.rand(2, 4, height, 7) for _ in range(n_maps)]
    with torch.inference_mode():
        strips = in_strips(local, maps, halo=2, max_memory=max_memory)
        torch.testing.assert_close(strips, local(torch.cat(maps, 1)))


def test_training_and_other_devices_evaluate_whole_maps():
    assert not evaluates_in_strips(torch.zeros(1))
    with torch.no_grad():
        assert evaluates_in_strips(torch.zeros(1))
        assert not evaluates_in_strips(torch.zeros(1, device="meta"))


@pytest.mark.parametrize(
    "record", [partial(torch.jit.trace, check_trace=False), torch.export.export], ids=["trace", "export"]
)
def test_what_is_recorded_evaluates_whole_maps(record):
    class Answer(nn.Module):
        def forward(self, features):
            return features + float(evaluates_in_strips(features))

    zeros = torch.zeros(2)
    with torch.no_grad():
        recorded = record(Answer(), (zeros,))
        assert torch.equal(getattr(recorded, "module", lambda: recorded)()(zeros), zeros)
