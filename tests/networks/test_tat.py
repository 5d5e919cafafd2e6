import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from torch import nn

from bundle.tat.networks import TAT
from tests.helper import assert_batch_independent

ROOT = Path(__file__).parents[2]
SMALL = {
    "dim": 8,
    "num_blocks": (1, 1, 1, 1),
    "num_refinement_blocks": 1,
    "heads": (1, 2, 4, 8),
    "task_features": 4,
    "train_size": 32,
}
multiples_of_8 = st.integers(1, 10).map(lambda n: 8 * n)


def small(**changes) -> TAT:
    """A tiny network in which every parameter matters, the factors of the generated kernels included."""
    torch.manual_seed(0)
    network = TAT(**{**SMALL, **changes}).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("adaptation"):
                nn.init.normal_(parameter, std=0.5)
    return network


def test_paper_network_has_the_papers_size():
    network = TAT()
    assert sum(parameter.numel() for parameter in network.parameters()) == 41_687_424
    generation = [network.tren, network.weight_generation]
    assert sum(parameter.numel() for module in generation for parameter in module.parameters()) == 15_411_520


@pytest.mark.parametrize(("train_size", "tlc_window"), [(16, 24), (64, 96), (96, 144)])
def test_windows_are_said_in_either_way(train_size, tlc_window):
    by_patch, by_window = small(train_size=train_size), small(train_size=None, tlc_window=tlc_window)
    assert by_patch.tlc_window == by_window.tlc_window == tlc_window
    image = torch.rand(1, 1, tlc_window + 40, 64)
    with torch.inference_mode():
        assert torch.equal(by_patch(image), by_window(image))
        assert not torch.equal(by_patch(image), small(train_size=train_size + 8)(image))
    assert TAT(**{**SMALL, "train_size": None}).tlc_window == 192  # the paper's patches have 128


@given(height=multiples_of_8, width=multiples_of_8)
def test_any_multiple_of_8_keeps_its_shape(height, width):
    image = torch.rand(1, 1, height, width)
    with torch.inference_mode():
        assert small()(image).shape == image.shape


def test_half_precision_does_not_round_the_image():
    """Two images less than a step of bfloat16 apart."""
    network, image = small(), torch.full((1, 1, 16, 16), 0.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not torch.equal(network.embed_image(image), network.embed_image(image + 1e-3))
    assert torch.equal(image.bfloat16(), (image + 1e-3).bfloat16())


@pytest.mark.parametrize("size", [(32, 32), (16, 24), (32, 56), (104, 80)])
def test_samples_of_a_batch_do_not_meet(size):
    torch.manual_seed(1)
    assert_batch_independent(small(), torch.rand(3, 1, *size))


@pytest.mark.parametrize(
    "changes",
    [
        {"dim": 2, "heads": (1, 1, 1, 1)},
        {"dim": 6, "heads": (3, 2, 1, 6)},
        {"dim": 10},
        {"dim": 16, "heads": (16, 1, 2, 4)},
    ],
    ids=str,
)
def test_any_even_width_that_the_heads_divide(changes):
    changes.setdefault("heads", (1, 2, 4, 8))
    with torch.inference_mode():
        assert torch.isfinite(small(**changes)(torch.rand(2, 1, 40, 24))).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 7}, "dim is 7"),
        ({"dim": 0}, "dim is 0"),
        ({"heads": (3, 2, 4, 8)}, "3 heads do not divide the width 8 of level 1"),
        ({"heads": (1, 2, 4)}, "heads is"),
        ({"num_blocks": (1, 0, 1, 1)}, "num_blocks is"),
        ({"out_channels": 2}, "in_channels is 1 and out_channels is 2"),
        ({"in_channels": 2}, "in_channels is 2 and out_channels is 1"),
        ({"in_channels": 4, "out_channels": 2}, "in_channels is 4 and out_channels is 2"),
        ({"train_size": 100}, "train_size is 100"),
        ({"train_size": None, "tlc_window": 100}, "tlc_window is 100"),
        ({"train_size": None, "tlc_window": 0}, "tlc_window is 0"),
        ({"train_size": 32, "tlc_window": 48}, "train_size is 32 and tlc_window is 48"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TAT(**{**SMALL, **changes})


@pytest.mark.parametrize("size", [(100, 64), (64, 100), (7, 8)])
def test_other_sizes_are_refused_with_the_remedy(size):
    with pytest.raises(ValueError, match=r"multiples of 8, use DivisiblePadd\(k=8\)"):
        small()(torch.rand(1, 1, *size))


@pytest.mark.parametrize("adaptive", [True, False])
def test_scripted_network_equals_eager_at_three_sizes(adaptive):
    network = small(adaptive=adaptive)
    scripted = torch.jit.script(network)
    for size in ((2, 1, 32, 32), (1, 1, 24, 40), (3, 1, 72, 104)):
        image = torch.rand(size)
        with torch.inference_mode():
            torch.testing.assert_close(scripted(image), network(image), rtol=1e-5, atol=1e-6)


def test_scripted_network_refuses_other_sizes():
    with pytest.raises(torch.jit.Error, match="multiples of 8"):
        torch.jit.script(small())(torch.rand(1, 1, 30, 32))


def test_without_adaptation_it_is_the_static_network():
    adaptive = small()
    with torch.no_grad():
        for name, parameter in adaptive.named_parameters():
            if name.endswith("adaptation"):
                parameter.zero_()
    static = small(adaptive=False)
    shared = {name: value for name, value in adaptive.state_dict().items() if name in static.state_dict()}
    static.load_state_dict(shared)
    image = torch.rand(2, 1, 40, 48)
    with torch.inference_mode():
        torch.testing.assert_close(adaptive(image), static(image))


def test_training_starts_as_a_static_network():
    network = TAT(**SMALL)
    factors = [parameter for name, parameter in network.named_parameters() if name.endswith("adaptation")]
    assert len(factors) == 10
    assert all(bool((factor == 0).all()) for factor in factors)


def test_shared_kernels_start_as_they_are_asked_to():
    """The authors' start, or as loud as those of static convolutions; a static network is left alone."""

    def deviations(**changes) -> tuple[float, float, float]:
        torch.manual_seed(0)
        network = TAT(**{**SMALL, "dim": 16, **changes})
        latent, encoder = network.latent[0], network.encoder1[0]
        found = (latent.attention.depthwise, latent.feed_forward.depthwise, encoder.attention.depthwise)
        return tuple(convolution.weight.std().item() for convolution in found)

    assert deviations() == pytest.approx((1.0, 2**0.5 / 3, 3**-0.5 / 3), rel=0.1)
    assert deviations(kernel_gain=0.6) == pytest.approx((0.2, 0.2, 3**-0.5 / 3), rel=0.1)
    assert deviations(adaptive=False, kernel_gain=0.6) == deviations(adaptive=False)


def test_kernels_depend_on_the_image():
    network = small()
    image = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        kernels = network.generate_kernels(network.encode(image)[3])
    assert kernels.latent.attention.shape == (2, 3 * 64, 1, 3, 3)
    assert not torch.allclose(kernels.latent.attention[0], kernels.latent.attention[1])


def test_task_representation():
    network = small()
    image = torch.rand(3, 1, 40, 24)
    with torch.inference_mode():
        assert network.task_representation(image).shape == (3, 4 * SMALL["task_features"])
    with pytest.raises(ValueError, match="static network"):
        small(adaptive=False).task_representation(image)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_stop_gradient_keeps_the_kernels_gradient_out_of_the_encoder(stop_gradient):
    network = small(stop_gradient=stop_gradient)
    kernels = network.generate_kernels(network.encode(torch.rand(1, 1, 16, 16))[3])
    kernels.level1.attention.sum().backward()
    reached = network.embed.weight.grad is not None and bool(network.embed.weight.grad.any())
    assert reached is not stop_gradient


def test_forward_keeps_no_state():
    network = small()
    before = set(vars(network))
    image = torch.rand(1, 1, 32, 40)
    with torch.inference_mode():
        first = network(image)
        network(torch.rand(2, 1, 64, 64))
        assert torch.equal(network(image), first)
    assert set(vars(network)) == before


def whole_maps(network: TAT, image: torch.Tensor) -> torch.Tensor:
    """The plain evaluation, as in training."""
    with torch.enable_grad():
        return network(image).detach()


@settings(max_examples=20)
@given(
    batch=st.integers(1, 3),
    height=multiples_of_8,
    width=multiples_of_8,
    train_size=st.sampled_from([16, 32, 64]),
    max_memory=st.sampled_from([0.0, 0.05, 4.0]),
    changes=st.sampled_from([{}, {"adaptive": False}, {"bias": True}, {"dim": 6, "heads": (3, 2, 1, 6)}]),
)
def test_inference_in_strips_is_exact(batch, height, width, train_size, max_memory, changes):
    network = small(train_size=train_size, max_memory=max_memory, **changes)
    image = torch.rand(batch, 1, height, width)
    before = image.clone()
    with torch.no_grad():
        restored = network(image)
    assert torch.equal(image, before)
    expected = whole_maps(network, image)
    assert (restored - expected).abs().max() <= 1e-5 * expected.std()


@pytest.mark.parametrize("size", [(1, 1, 64, 64), (2, 1, 248, 96)])
def test_inference_in_strips_is_exact_with_the_trained_weights(size):
    arguments = json.loads((ROOT / "configs" / "inference.json").read_text())["network_def"]
    network = TAT(**{name: value for name, value in arguments.items() if name != "_target_"}).eval()
    network.load_state_dict(torch.load(ROOT / "models" / "model.pt", weights_only=True))
    image = torch.rand(size)
    with torch.inference_mode():
        restored = network(image)
    expected = whole_maps(network, image)
    assert (restored - expected).abs().max() <= 1e-5 * expected.std()


def test_checkpointing_leaves_the_gradients_of_the_network_as_they_are():
    image = torch.rand(2, 1, 32, 40)
    plain, checkpointed = small(), small(gradient_checkpointing=True)
    for network in (plain, checkpointed):
        network.train()(image).square().mean().backward()
    for one, other in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_strips_keep_monais_metadata():
    network, image = small(), MetaTensor(torch.rand(1, 1, 32, 40), affine=2 * torch.eye(4))
    with torch.inference_mode():
        restored = network(image)
    assert isinstance(restored, MetaTensor)
    assert torch.equal(restored.affine, image.affine)
