import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bundle.tat.networks.restormer import hidden_width
from bundle.tat.networks.stage import Stage
from bundle.tat.networks.weight_adaptive import BlockKernels

EXPANSION = 2.66
CHANNELS = 12
booleans = st.booleans()


def stage(*, n_heads: int = 2, window: int = 12, bias: bool = False, adaptive: bool = True, **changes) -> Stage:
    """Blocks in which every parameter matters."""
    torch.manual_seed(0)
    blocks = Stage(2, CHANNELS, n_heads, window=window, expansion=EXPANSION, bias=bias, adaptive=adaptive, **changes)
    with torch.no_grad():
        for name, parameter in blocks.named_parameters():
            if name.endswith(("adaptation", "bias", "norm1.weight", "norm2.weight", "temperature")):
                nn.init.normal_(parameter, mean=float("weight" in name), std=0.5)
    return blocks


def generated(batch: int) -> BlockKernels:
    return BlockKernels(
        torch.randn(batch, 3 * CHANNELS, 1, 3, 3), torch.randn(batch, 2 * hidden_width(CHANNELS, EXPANSION), 1, 3, 3)
    )


@settings(max_examples=30)
@given(
    batch=st.integers(1, 3),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    window=st.integers(1, 20),
    max_memory=st.sampled_from([0.0, 0.02, 0.1, 1.0]),
    n_heads=st.sampled_from([1, 3]),
    bias=booleans,
    adaptive=booleans,
)
def test_strips_and_whole_maps_agree(batch, height, width, window, max_memory, n_heads, bias, adaptive):
    blocks = stage(n_heads=n_heads, window=window, bias=bias, adaptive=adaptive, max_memory=max_memory)
    features, kernels = torch.randn(batch, CHANNELS, height, width), generated(batch)
    before = features.clone()
    with torch.inference_mode():
        strips = blocks(features, kernels)
    assert torch.equal(features, before)
    whole = blocks(features, kernels)
    assert strips.shape == whole.shape
    assert (strips - whole).abs().max() <= 1e-5 * whole.std(correction=0)


def test_without_a_memory_to_keep_to_whole_maps_are_evaluated():
    blocks, features, kernels = stage(max_memory=None), torch.randn(1, CHANNELS, 30, 20), generated(1)
    with torch.no_grad():
        inferred = blocks(features, kernels)
    assert torch.equal(inferred, blocks(features, kernels))


@pytest.mark.parametrize("max_memory", [0.02, None], ids=["strips", "whole maps"])
def test_autocast_changes_the_type_of_products_only(max_memory):
    blocks, features, kernels = stage(max_memory=max_memory, bias=True), torch.randn(2, CHANNELS, 30, 20), generated(2)
    with torch.inference_mode():
        single = blocks(features, kernels)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cast = blocks(features, kernels)
    assert cast.dtype == torch.float32
    assert 0 < (cast - single).abs().max() < 0.1 * single.std()


def test_checkpointing_leaves_the_gradients_as_they_are():
    plain, checkpointed = stage(), stage(gradient_checkpointing=True)
    features, kernels = torch.randn(2, CHANNELS, 18, 20), generated(2)
    n_kept = []
    for blocks in (plain, checkpointed):
        kept: list[torch.Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda saved, kept=kept: kept.append(saved) or saved, lambda saved: saved
        ):
            output = blocks(features.requires_grad_(), kernels)
        output.square().mean().backward()
        n_kept.append(sum(saved.numel() for saved in kept))
    assert n_kept[1] < n_kept[0] / 5
    for one, other in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
