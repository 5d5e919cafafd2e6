import pytest
import torch

from bundle.tat.networks.reference_weights import to_reference
from tests.networks.golden import arrays, golden_network, reference

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def network():
    return golden_network()


@pytest.mark.parametrize("case", [0, 1, 2], ids=["training size, batch 2", "one window", "several windows"])
def test_output_equals_the_authors(network, case):
    expected = arrays()[f"output_{case}"]
    with torch.inference_mode():
        output = network(arrays()[f"image_{case}"])
    assert (output - expected).abs().max() / expected.std() < 1e-4


def test_gradients_equal_the_authors(network):
    network.zero_grad()
    network(arrays()["image_0"]).square().mean().backward()
    gradients = to_reference({name: parameter.grad for name, parameter in network.named_parameters()})
    norms = reference()["gradient_norms"]
    assert gradients.keys() == norms.keys()
    for name, norm in norms.items():
        assert float(gradients[name].norm()) == pytest.approx(norm, rel=1e-3), name
