"""Neighbouring slices are channels around the one that is restored."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bundle.tat.networks.context import count_input_channels, grow_context, middle_channels
from tests.networks.test_tat import small


@given(n_channels=st.integers(1, 3), n_around=st.integers(0, 3), batch=st.integers(1, 2))
def test_as_many_channels_stand_before_the_middle_as_after_it(n_channels, n_around, batch):
    image = torch.rand(batch, n_channels + 2 * n_around, 4, 5)
    assert torch.equal(middle_channels(image, n_channels), image[:, n_around : n_around + n_channels])
    assert torch.equal(middle_channels(image[0], n_channels), image[0, n_around : n_around + n_channels])


@pytest.mark.parametrize(("channels", "context"), [((1, 1), 0), ((3, 1), 1), ((5, 1), 2), ((6, 2), 1), ((2, 2), 0)])
def test_the_correction_is_added_to_the_middle_slice(channels, context):
    n_in, n_out = channels
    network = small(in_channels=n_in, out_channels=n_out)
    image = torch.rand(2, n_in, 24, 32)
    assert network.context == context
    with torch.inference_mode():
        restored = network(image)
        assert restored.shape == (2, n_out, 24, 32)
        nn.init.zeros_(network.head[-1].weight)
        assert torch.equal(network(image), middle_channels(image, n_out))
    assert not torch.equal(restored, middle_channels(image, n_out))


def test_neighbours_change_what_comes_out_and_which_is_which_matters():
    network, image = small(in_channels=3), torch.rand(1, 3, 24, 32)
    with torch.inference_mode():
        assert not torch.allclose(network(image), network(image.flip(1)))
        assert network.task_representation(image).shape == (1, 16)


def test_a_scripted_network_takes_neighbours():
    network, image = small(in_channels=3), torch.rand(2, 3, 40, 24)
    scripted = torch.jit.script(network)
    assert scripted.context == 1
    with torch.inference_mode():
        torch.testing.assert_close(scripted(image), network(image), rtol=0, atol=1e-6)


def test_a_recorded_network_takes_neighbours():
    network, image = small(in_channels=3), torch.rand(2, 3, 40, 24)
    with torch.no_grad():
        recorded = torch.export.export(network, (image,)).module()
        torch.testing.assert_close(recorded(image), network(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("wanted", [3, 5])
def test_grown_weights_begin_with_what_they_gave_without_neighbours(wanted):
    alone, image = small(), torch.rand(2, wanted, 40, 32)
    together = small(in_channels=wanted)
    together.load_state_dict(grow_context(alone.state_dict(), wanted))
    assert count_input_channels(together.state_dict()) == wanted
    with torch.inference_mode():
        expected = alone(middle_channels(image, 1))
        # A convolution adds its zeros in an order of its own.
        torch.testing.assert_close(together(image), expected, rtol=0, atol=1e-6)


def test_weights_of_other_networks_have_no_number_of_slices():
    assert count_input_channels({"0.weight": torch.zeros(3, 2)}) is None
    assert count_input_channels({"embed.weight": torch.zeros(3, 2)}) is None
