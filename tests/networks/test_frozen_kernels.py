"""A TAT whose kernels are frozen at their mean: what it computes, and what it holds."""

import pytest
import torch

from bundle.tat.networks import TAT
from bundle.tat.networks.frozen_kernels import adapted_convolutions, freeze_kernels

TINY = {"dim": 4, "num_blocks": (1, 2, 1, 1), "heads": (1, 1, 2, 2), "task_features": 2, "train_size": 16}


def make_network(adaptation: float = 0.5) -> TAT:
    """A tiny network whose generated kernels count."""
    torch.manual_seed(0)
    network = TAT(**TINY, generation_gain=2.0)
    for name, parameter in network.named_parameters():
        if name.endswith("adaptation"):
            torch.nn.init.constant_(parameter, adaptation)
    return network.eval()


def static(weights) -> TAT:
    network = TAT(**TINY, adaptive=False)
    network.load_state_dict(weights)
    return network.eval()


def test_frozen_at_one_image_it_restores_that_image_as_the_network_does():
    network, image = make_network(), torch.rand(1, 1, 16, 24)
    frozen = static(freeze_kernels(network, [image]))
    with torch.no_grad():
        torch.testing.assert_close(frozen(image), network(image), rtol=1e-4, atol=1e-5)
        other = torch.rand(1, 1, 16, 24) ** 4
        assert not torch.allclose(frozen(other), network(other), rtol=1e-4, atol=1e-5)


def test_kernels_are_the_mean_over_images_however_they_are_batched():
    network, images = make_network(), torch.rand(5, 1, 16, 16)
    at_once = freeze_kernels(network, [images])
    in_parts = freeze_kernels(network, images.split([1, 4]))
    each = [freeze_kernels(network, [image[None]]) for image in images]
    for name, weight in at_once.items():
        torch.testing.assert_close(in_parts[name], weight)
        torch.testing.assert_close(torch.stack([of[name] for of in each]).mean(dim=0), weight)


def test_without_adaptation_nothing_but_the_generation_is_gone():
    network = make_network(adaptation=0.0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    frozen = freeze_kernels(network, [torch.rand(2, 1, 16, 16)])
    for name, tensor in frozen.items():
        torch.testing.assert_close(tensor, before[name])
    gone = before.keys() - frozen.keys()
    assert all(name.startswith(("tren.", "weight_generation.")) or name.endswith(".adaptation") for name in gone)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_every_adaptive_convolution_is_met_once():
    network = make_network()
    with torch.no_grad():
        kernels = network.generate_kernels(network.encode(torch.rand(2, 1, 16, 16))[3])
    met = [name for name, _, _ in adapted_convolutions(network, kernels)]
    wanted = {name.removesuffix(".adaptation") for name, _ in network.named_parameters() if "adaptation" in name}
    assert len(met) == len(set(met))
    assert {*met} == wanted


def test_what_has_no_mean_kernels_is_refused():
    with pytest.raises(ValueError, match="there is no image for the mean kernels"):
        freeze_kernels(make_network(), [])
    with pytest.raises(ValueError, match="a static network generates no kernels"):
        freeze_kernels(TAT(**TINY, adaptive=False), [torch.rand(1, 1, 16, 16)])
