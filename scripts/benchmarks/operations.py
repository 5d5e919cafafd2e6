"""Cost of a training step: floating-point operations of a network, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Size, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count


def count_flop(network: nn.Module, image: torch.Tensor) -> int:
    """Operations of one forward and backward pass; nothing is computed where both are made in ``FakeTensorMode``."""
    # PyTorch's own count for gradients of convolutions ignores groups: it is C times too large for C groups.
    backward = {torch.ops.aten.convolution_backward: count_convolution_backward}
    with FlopCounterMode(display=False, custom_mapping=backward) as counter:
        network(image).sum().backward()
    return counter.get_total_flops()


def count_convolution_backward(grad_out: Size, image: Size, weight: Size, *more: Any, **_: object) -> int:
    """Operations of a convolution's gradients: each requested gradient takes as many as the convolution.

    Args:
        grad_out: shape of the output.
        image: shape of the input.
        weight: shape of the kernels, ``(C_out, C_in / groups, ...)``.
        more: ``transposed`` fifth and ``output_mask`` last, among others that do not matter.
        _: shapes of the results.

    Returns:
        Operations, an addition and a multiplication counted as two.
    """
    transposed, wanted = more[4], more[-1]
    return sum(wanted[:2]) * conv_flop_count(image, weight, grad_out, transposed=transposed)
