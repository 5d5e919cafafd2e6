"""The switches of the generated kernels: what each changes, and that the network without them stays as it is."""

import pytest
import torch
from torch import nn

from bundle.tat.networks import TAT
from bundle.tat.networks.frozen_kernels import freeze_kernels
from bundle.tat.networks.weight_generation import KernelHead
from tests.helper import assert_batch_independent
from tests.networks.test_tat import SMALL, small

SWITCHES = [{"lambda_start": 0.3}, {"pooled_features": True}, {"adapt_encoder": True}, {"scale_per_head": True}]
switched = pytest.mark.parametrize("switch", SWITCHES, ids=str)


def build(**changes) -> TAT:
    """A network as training starts with it."""
    torch.manual_seed(0)
    return TAT(**SMALL, generation_gain=2.0, **changes)


def learn(network: TAT) -> None:
    network(torch.rand(2, 1, 32, 32)).square().mean().backward()


def has_gradient(module: nn.Module) -> bool:
    return all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in module.parameters())


@pytest.mark.parametrize("switch", [*SWITCHES, {"stop_gradient": False}], ids=str)
def test_a_static_network_refuses_what_changes_generated_kernels(switch):
    (name,) = switch
    with pytest.raises(ValueError, match=f"{name} is .*adaptive=False"):
        build(**switch, adaptive=False)


@switched
def test_a_switch_that_is_off_changes_nothing(switch):
    plain, off = build(), build(**{name: type(value)(0) for name, value in switch.items()})
    for (name, value), (other_name, other) in zip(plain.state_dict().items(), off.state_dict().items(), strict=True):
        assert name == other_name
        assert torch.equal(value, other)


@switched
def test_every_parameter_of_a_switched_network_learns(switch):
    network = small(**switch, generation_gain=2.0)
    learn(network.train())
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    assert has_gradient(network.tren)
    assert has_gradient(network.weight_generation)


@switched
def test_a_switched_network_can_be_scripted(switch):
    network = small(**switch, generation_gain=2.0)
    scripted = torch.jit.script(network)
    for size in ((2, 1, 32, 32), (1, 1, 72, 104)):
        image = torch.rand(size)
        with torch.inference_mode():
            expected = network(image)
            assert (scripted(image) - expected).abs().max() <= 1e-4 * expected.std()
            torch.testing.assert_close(scripted.task_representation(image), network.task_representation(image))


@switched
def test_inference_in_strips_is_that_of_training(switch):
    network, image = small(**switch, generation_gain=2.0, max_memory=0.05), torch.rand(2, 1, 72, 104)
    with torch.no_grad():
        restored = network(image)
    expected = network(image).detach()
    assert (restored - expected).abs().max() <= 1e-4 * expected.std()


def test_with_a_warm_lambda_the_generation_learns_from_the_first_step():
    cold, warm = build(), build(lambda_start=0.3)
    for network in (cold, warm):
        learn(network)
    assert not any(parameter.grad.any() for parameter in cold.weight_generation.parameters())
    assert has_gradient(warm.weight_generation)
    assert has_gradient(warm.tren)


def test_lambda_start_changes_nothing_but_lambda():
    cold, warm = build().state_dict(), build(lambda_start=0.3).state_dict()
    for name, value in warm.items():
        expected = torch.full_like(value, 0.3) if name.endswith(".adaptation") else cold[name]
        assert torch.equal(value, expected), name


def test_pooled_features_are_the_means_of_level_4():
    """Where the convolutions say nothing, two images are told apart by the means, and by nothing else."""
    tren = build(pooled_features=True).tren
    with torch.no_grad():
        tren.extract[9].weight.zero_()
    level4 = torch.randn(2, 64, 4, 4)
    shuffled = level4.flatten(2)[..., torch.randperm(16)].reshape(level4.shape)
    with torch.inference_mode():
        first, second = tren(level4)
        assert not torch.allclose(first, second)
        torch.testing.assert_close(tren(shuffled), tren(level4))
        assert torch.equal(*build().tren.represent(tren.extract(level4).mean(dim=(-2, -1))))


@pytest.mark.parametrize("stop_gradient", [True, False])
@pytest.mark.parametrize("switch", [{"pooled_features": True}, {"adapt_encoder": True}], ids=str)
def test_the_gradient_stops_before_the_task_representation(switch, stop_gradient):
    network = small(**switch, stop_gradient=stop_gradient)
    network.generate_kernels(network.encode(torch.rand(1, 1, 16, 16))[3]).level1.attention.sum().backward()
    gradient = network.embed.weight.grad
    assert (gradient is not None and bool(gradient.any())) is not stop_gradient


def test_an_adaptive_encoder_gives_the_decoder_the_features_of_its_second_pass():
    network, image = small(adapt_encoder=True, generation_gain=2.0), torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        first = network.encode(image)
        kernels = network.generate_kernels(first[3])
        second = network.encode(image, kernels)
        assert all(not torch.allclose(one, other) for one, other in zip(first, second, strict=True))
        torch.testing.assert_close(network.task_representation(image), network.tren(first[3]))
        restored = network(image)
        network.latent.register_forward_pre_hook(lambda _, given: torch.testing.assert_close(given[0], second[3]))
        assert torch.equal(network(image), restored)


def test_an_adaptive_encoder_without_lambda_is_the_static_one():
    network, image = build(adapt_encoder=True), torch.rand(2, 1, 32, 32)
    static = TAT(**SMALL, adaptive=False)
    static.load_state_dict({name: value for name, value in network.state_dict().items() if name in static.state_dict()})
    with torch.inference_mode():
        torch.testing.assert_close(network(image), static(image))


def test_samples_of_a_batch_do_not_meet_in_an_adaptive_encoder():
    assert_batch_independent(small(adapt_encoder=True, generation_gain=2.0), torch.rand(3, 1, 32, 40))


def test_under_autocast_the_encoder_learns_from_its_second_pass():
    network = small(adapt_encoder=True, generation_gain=2.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        learn(network.train())
    assert has_gradient(network.encoder2)
    assert has_gradient(network.down1)


def test_kernels_of_an_adaptive_encoder_are_frozen_with_the_others():
    network, image = small(adapt_encoder=True, generation_gain=2.0), torch.rand(1, 1, 32, 40)
    frozen = TAT(**SMALL, adaptive=False).eval()
    frozen.load_state_dict(freeze_kernels(network, [image]))
    with torch.no_grad():
        torch.testing.assert_close(frozen(image), network(image), rtol=1e-4, atol=1e-5)


def test_each_image_scales_the_kernels_of_each_head_by_one_factor():
    torch.manual_seed(0)
    head, representation = KernelHead(8, 12, n_scales=3), torch.randn(5, 8)
    plain = KernelHead(8, 12)
    plain.linear.load_state_dict(head.linear.state_dict())
    with torch.inference_mode():
        factors = (head(representation) / plain(representation)).reshape(5, 3, -1)
    torch.testing.assert_close(factors, factors[..., :1].expand_as(factors))
    assert bool(((factors > 0) & (factors < 2)).all())
    assert factors[..., 0].unique().numel() == 15


def test_generated_kernels_vary_more_with_a_scale_of_their_own():
    def variation(head: KernelHead) -> float:
        """Deviation over images over the mean size."""
        with torch.inference_mode():
            kernels = head(representation)
        return float(kernels.std(dim=0).square().mean().sqrt() / kernels.square().mean().sqrt())

    torch.manual_seed(0)
    head, representation = KernelHead(32, 600, n_scales=12), torch.rand(1, 32) + 0.1 * torch.randn(64, 32)
    scaled = variation(head)
    head.scale = None
    assert scaled > variation(head)


@pytest.mark.parametrize("changes", [{}, {"adapt_encoder": True}], ids=str)
def test_scales_are_those_of_the_levels_heads(changes):
    network = build(scale_per_head=True, **changes)
    heads = (8, 4, 2, 1, 4, 2, 1)[: 7 if changes else 4]
    assert [head.scale.out_features for head in network.weight_generation.attention] == [3 * n for n in heads]
    assert [head.scale.out_features for head in network.weight_generation.feed_forward] == [2] * len(heads)


def test_all_switches_go_together():
    network = build(**{name: value for switch in SWITCHES for name, value in switch.items()})
    learn(network)
    assert has_gradient(network)
