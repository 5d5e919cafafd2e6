import pytest
import torch
from monai.networks.nets import BasicUNet
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from bundle.tat.devices import MAX_GRAPHS, prepare_network, slice_workers
from bundle.tat.networks.restormer import TransformerBlock
from bundle.tat.refusal import RefusedInputError
from tests.networks.test_stage import CHANNELS, generated, stage
from tests.networks.test_tat import small


def restore(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network(image)


def test_channels_last_changes_the_order_in_memory_only():
    image = torch.rand(2, 1, 40, 24)
    network = prepare_network(small(max_memory=None), "cpu", channels_last=True)
    assert network.encoder1[0].attention.to_qkv.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(restore(network, image), restore(small(max_memory=None), image), atol=1e-5, rtol=0)


def test_compiled_blocks_are_those_of_the_network_and_keep_its_names(monkeypatch):
    calls = []
    monkeypatch.setattr(TransformerBlock, "compile", lambda block, mode: calls.append((block, mode)))
    network = small(max_memory=None)
    names = list(network.state_dict())
    assert prepare_network(network, "cpu", compile_blocks=True, compile_mode="reduce-overhead") is network
    assert list(network.state_dict()) == names
    assert [block for block, _ in calls] == [m for m in network.modules() if isinstance(m, TransformerBlock)]
    assert {mode for _, mode in calls} == {"reduce-overhead"}


@pytest.mark.parametrize("network", [small(), BasicUNet(spatial_dims=2, features=(8, 8, 8, 8, 8, 8))])
def test_what_cannot_be_compiled_is_refused(network):
    with pytest.raises(RefusedInputError, match="compile is true, but"):
        prepare_network(network, "cpu", compile_blocks=True)


@pytest.mark.slow
def test_every_size_of_image_is_compiled(monkeypatch):
    """The limit of graphs is not met, and a known size makes no new one."""
    counter = CompileCounterWithBackend("eager")
    compile_block = TransformerBlock.compile
    monkeypatch.setattr(TransformerBlock, "compile", lambda block, **_: compile_block(block, backend=counter))
    torch._dynamo.reset()
    network = prepare_network(small(max_memory=None), "cpu", compile_blocks=True)
    graphs = []
    for size in ((64, 48), (24, 80), (72, 80), (64, 48)):
        restore(network, torch.rand(1, 1, *size))
        graphs.append(counter.frame_count)
    assert graphs[0] < graphs[1] < graphs[2] == graphs[3] <= MAX_GRAPHS


@pytest.mark.slow
def test_compiled_blocks_give_the_same_numbers():
    """Really compiled, by the C++ compiler of this machine."""
    torch._dynamo.reset()
    blocks, features, kernels = stage(max_memory=None), torch.randn(2, CHANNELS, 10, 12), generated(2)
    with torch.inference_mode():
        plain = blocks(features, kernels)
        compiled = prepare_network(blocks, "cpu", compile_blocks=True)(features, kernels)
    torch.testing.assert_close(compiled, plain, atol=1e-5, rtol=0)
    assert not torch.equal(compiled, plain), "another order of sums leaves traces: nothing was compiled"


@pytest.mark.parametrize(
    ("workers", "device", "compiled", "expected"),
    [
        (None, "cpu", False, None),
        (3, "cpu", False, 3),
        (3, "cpu", True, 1),
        (3, "cuda:0", False, 1),
        (None, "cuda", False, 1),
    ],
)
def test_workers_are_for_slices_on_a_cpu(workers, device, compiled, expected):
    assert slice_workers(workers, device=device, compile_blocks=compiled) == expected
