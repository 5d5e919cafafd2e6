import pytest
import torch
from torch import nn

from bundle.tat.inferers.precision import AutocastInferer


@pytest.fixture
def network():
    return nn.Conv2d(1, 4, 3)


def test_products_are_of_half_precision_and_the_result_is_not(network):
    image = torch.rand(2, 1, 8, 8)
    seen = []
    network.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    restored = AutocastInferer()(image, network)
    assert seen == [torch.bfloat16]
    assert restored.dtype == torch.float32
    torch.testing.assert_close(restored, network(image), rtol=0.02, atol=0.02)


def test_switched_off_nothing_changes(network):
    image = torch.rand(2, 1, 8, 8)
    assert torch.equal(AutocastInferer(enabled=False)(image, network), network(image))


def test_gradients_reach_the_weights_in_float32(network):
    AutocastInferer()(torch.rand(2, 1, 8, 8), network).sum().backward()
    assert network.weight.grad.dtype == torch.float32
    assert network.weight.grad.any()


def test_formats_that_do_not_do_are_refused(network):
    with pytest.raises(ValueError, match="'int8': pass one of bfloat16, float16"):
        AutocastInferer(dtype="int8")
    with pytest.raises(ValueError, match="pass bfloat16, a CPU supports no other"):
        AutocastInferer(dtype="float16")(torch.rand(1, 1, 8, 8), network)
