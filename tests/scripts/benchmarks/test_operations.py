"""What a step costs: operations of both passes."""

from __future__ import annotations

import pytest
import torch

from scripts.benchmarks.operations import count_flop


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_a_gradient_costs_what_the_convolution_does_whatever_the_groups(groups):
    layers = [torch.nn.Conv2d(8, 8, 3, padding=1, groups=groups) for _ in range(2)]
    image = torch.rand(2, 8, 16, 16)
    once = 2 * 9 * (8 // groups) * 8 * 16 * 16 * 2
    # Nobody asks for the gradient of the image: the first layer has one backward product less.
    assert count_flop(layers[0], image) == 2 * once
    assert count_flop(torch.nn.Sequential(*layers), image) == 5 * once


def test_a_product_of_matrices_is_counted_forward_and_backward():
    assert count_flop(torch.nn.Linear(5, 7), torch.rand(3, 5)) == 2 * (2 * 3 * 5 * 7)
