"""The depthwise convolution whose kernels a network generates for each image."""

import math
from collections.abc import Iterator
from typing import NamedTuple, Optional, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BlockKernels(NamedTuple):
    """Kernels generated for the blocks of one level; all blocks of a level share them.

    Attributes:
        attention: kernels of the attention's depthwise convolution, ``(B, 3C, 1, 3, 3)``.
        feed_forward: kernels of the feed-forward's depthwise convolution, ``(B, 2 * hidden, 1, 3, 3)``.
    """

    attention: Tensor
    feed_forward: Tensor


class DepthwiseConv(nn.Module):
    """3x3 depthwise convolution with a shared kernel, or with ``shared + adaptation * generated`` for each sample.

    Args:
        channels: number of channels ``C``.
        bias: add a learned bias to each channel.
        adaptive_std: initial standard deviation of the shared kernel of an adaptive convolution. ``None`` makes the
            convolution static, with PyTorch's initialisation.

    Shape:
        features ``(B, C, H, W)``, generated ``(B, C, 1, 3, 3)`` -> ``(B, C, H, W)``.

    Source:
        Yang et al. 2025, arXiv:2512.14550, the weight-adaptive transformer block. ``adaptation`` is the paper's lambda;
        it starts at 0, so training starts from a static network, unless ``start_adaptation`` changes it.
    """

    def __init__(self, channels: int, *, bias: bool, adaptive_std: Optional[float] = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None
        if adaptive_std is None:
            nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
            self.adaptation = None
        else:
            nn.init.normal_(self.weight, std=adaptive_std)
            self.adaptation = nn.Parameter(torch.zeros(channels, 1, 1, 1))

    def forward(self, features: Tensor, generated: Optional[Tensor] = None) -> Tensor:
        """Convolve each sample with its own kernels, or all with the shared ones."""
        kernels = self.kernels(generated)
        if kernels.dim() == self.weight.dim():
            return F.conv2d(features, kernels, self.bias, padding=1, groups=self.weight.shape[0])
        return depthwise_per_sample(features, kernels, self.bias)

    def kernels(self, generated: Optional[Tensor] = None) -> Tensor:
        """The shared kernels ``(C, 1, 3, 3)``, adapted in the shape of ``generated`` if the convolution is adaptive."""
        adaptation = self.adaptation
        if adaptation is None or generated is None:
            return self.weight
        return self.weight + adaptation * generated


def start_kernels_with_gain(network: nn.Module, gain: float) -> None:
    """Initialise the shared kernels of all adaptive convolutions, with the standard deviation ``gain / 3``.

    The authors' initialisation has a deviation of 1 in attention and 0.47 in feed-forward networks. PyTorch's has 0.19,
    a gain of 0.58, as static convolutions have here. The small network learns more slowly from larger kernels.

    Args:
        network: its adaptive convolutions are changed in place; static convolutions stay unchanged.
        gain: divided by 3, the root of a kernel's 9 entries.
    """
    for convolution in _adaptive_convolutions(network):
        draw_with_gain(convolution.weight, gain)


def start_adaptation(network: nn.Module, start: float) -> None:
    """Set lambda of all adaptive convolutions.

    While lambda is 0, no gradient reaches TREN and the heads: lambda has to learn first. From another start both learn
    from the first step.

    Args:
        network: its adaptive convolutions are changed in place; static convolutions stay unchanged.
        start: lambda of each channel.
    """
    for convolution in _adaptive_convolutions(network):
        nn.init.constant_(cast("Tensor", convolution.adaptation), start)


def _adaptive_convolutions(network: nn.Module) -> Iterator[DepthwiseConv]:
    for convolution in network.modules():
        if isinstance(convolution, DepthwiseConv) and convolution.adaptation is not None:
            yield convolution


def draw_with_gain(weight: Tensor, gain: float) -> None:
    """Draw new weights of the shape (outputs, inputs, ...), with the standard deviation ``gain / sqrt(fan in)``."""
    nn.init.normal_(weight, std=gain / math.sqrt(weight[0].numel()))


def depthwise_per_sample(features: Tensor, kernels: Tensor, bias: Optional[Tensor]) -> Tensor:
    """Depthwise convolution with different kernels for each sample, as one convolution of ``B * C`` groups.

    Args:
        features: ``(B, C, H, W)``.
        kernels: ``(B, C, 1, 3, 3)``.
        bias: ``(C,)`` or ``None``.

    Returns:
        ``(B, C, H, W)``.
    """
    batch, channels, height, width = features.shape
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        becomes_onnx = torch.onnx.is_in_onnx_export()
        if becomes_onnx:
            return _depthwise_by_shifts(features, kernels, bias)
    flat = features.reshape(1, batch * channels, height, width)
    convolved = F.conv2d(flat, kernels.reshape(batch * channels, 1, 3, 3), padding=1, groups=batch * channels)
    convolved = convolved.reshape(batch, channels, height, width)
    return convolved if bias is None else convolved + bias[:, None, None]


def _depthwise_by_shifts(features: Tensor, kernels: Tensor, bias: Optional[Tensor]) -> Tensor:
    """The same from nine shifted maps: ONNX fixes the number of a convolution's groups, and so the batch size."""
    height, width = features.shape[-2:]
    padded = F.pad(features, (1, 1, 1, 1))
    convolved = torch.zeros_like(features)
    for row in range(3):
        for column in range(3):
            shifted = padded[:, :, row : row + height, column : column + width]
            convolved = convolved + kernels[:, :, :, row, column, None] * shifted
    return convolved if bias is None else convolved + bias[:, None, None]
