import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bundle.tat.networks.stage import Stage
from bundle.tat.networks.training_blocks import evaluates_pixels_first, pixels_first, samples_first
from tests.networks.test_stage import CHANNELS, generated, stage

booleans = st.booleans()


def gradients(blocks: Stage, features: Tensor, *, adaptive: bool) -> tuple[Tensor, list[Tensor]]:
    """The output, and the gradients of its mean square: of features, generated kernels and parameters."""
    torch.manual_seed(1)
    kernels = generated(len(features))
    sources = [features.requires_grad_(), *blocks.parameters()]
    if adaptive:
        sources += [kernel.requires_grad_() for kernel in kernels]
    output = blocks(features, kernels)
    return output, list(torch.autograd.grad(output.square().mean(), sources))


@settings(max_examples=20)
@given(
    batch=st.integers(1, 3),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    n_heads=st.sampled_from([1, 3]),
    bias=booleans,
    adaptive=booleans,
)
def test_outputs_and_gradients_are_those_of_the_plain_evaluation(batch, height, width, n_heads, bias, adaptive):
    features = torch.randn(batch, CHANNELS, height, width, dtype=torch.float64)
    fast, plain = (
        stage(n_heads=n_heads, bias=bias, adaptive=adaptive, **changes).double()
        for changes in ({}, {"max_memory": None})
    )
    output, ours = gradients(fast, features, adaptive=adaptive)
    expected, theirs = gradients(plain, features, adaptive=adaptive)
    assert output.is_contiguous()
    torch.testing.assert_close(output, expected)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_checkpointing_leaves_the_gradients_as_they_are():
    features = torch.randn(2, CHANNELS, 8, 10)
    output, ours = gradients(stage(gradient_checkpointing=True), features, adaptive=True)
    expected, theirs = gradients(stage(), features, adaptive=True)
    assert torch.equal(output, expected)
    assert all(map(torch.equal, ours, theirs))


def test_autocast_changes_the_type_of_products_only():
    blocks, features, kernels = stage(bias=True), torch.randn(2, CHANNELS, 8, 10), generated(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = blocks(features, kernels)
    single = blocks(features, kernels)
    assert cast.dtype == torch.float32
    assert 0 < (cast - single).abs().max() < 0.1 * single.std()


def test_inference_large_maps_and_other_devices_are_evaluated_otherwise():
    features = torch.zeros(1, CHANNELS, 12, 12)
    assert evaluates_pixels_first(features, window=12)
    assert not evaluates_pixels_first(features, window=11)
    assert not evaluates_pixels_first(features.to("meta"), window=12)
    with torch.no_grad():
        assert not evaluates_pixels_first(features, window=12)


@pytest.mark.parametrize("shape", [(1, 2, 3, 4), (3, 1, 1, 2)])
def test_the_order_of_axes_is_undone(shape):
    features = torch.rand(shape)
    assert pixels_first(features).shape == (*shape[2:], *shape[:2])
    assert torch.equal(samples_first(pixels_first(features)), features)
