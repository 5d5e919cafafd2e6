"""Restormer's transformer block, with depthwise convolutions that may be adapted to each sample.

Source:
    Zamir et al. 2022, arXiv:2111.09881.
"""

import math
from typing import Final, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bundle.tat.networks.recorded_windows import attend_at_once
from bundle.tat.networks.tlc import merge_windows, split_windows
from bundle.tat.networks.weight_adaptive import BlockKernels, DepthwiseConv

# Standard deviations that the shared kernels of adaptive blocks start with, as in the authors' training.
ATTENTION_KERNEL_STD: Final = 1.0
FEED_FORWARD_KERNEL_STD: Final = math.sqrt(2 / 9)


class ChannelLayerNorm(nn.Module):
    """Layer normalisation over the channels of each pixel, with weight and bias.

    Args:
        channels: number of channels ``C``.
        eps: added to the (biased) variance.

    Shape:
        ``(B, C, H, W) -> (B, C, H, W)``.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """Normalise each pixel's channels to zero mean and unit variance, then scale and shift."""
        return self.normalise(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def normalise(self, channels_last: Tensor) -> Tensor:
        """The same with the channels as the last axis: ``(..., C) -> (..., C)``."""
        return F.layer_norm(channels_last, self.weight.shape, self.weight, self.bias, self.eps)


class MDTA(nn.Module):
    """Multi-Dconv head transposed attention: channels attend to channels, so the cost is linear in pixels.

    Args:
        channels: width ``C``; divisible by ``n_heads``.
        n_heads: number of attention heads.
        window: side of the TLC windows in pixels at this level; a map that is not larger has one window.
        bias: biases in the convolutions.
        adaptive: let generated kernels adapt the depthwise convolution.

    Shape:
        features ``(B, C, H, W)``, generated ``(B, 3C, 1, 3, 3)`` -> ``(B, C, H, W)``.

    Raises:
        ValueError: ``channels`` is not divisible by ``n_heads``.

    Source:
        arXiv:2111.09881, section 3.1; windows: arXiv:2112.04491.
    """

    def __init__(self, channels: int, n_heads: int, *, window: int, bias: bool, adaptive: bool) -> None:
        super().__init__()
        if channels % n_heads:
            raise ValueError(f"width {channels} is not divisible by {n_heads} heads: change dim or heads")
        self.n_heads = n_heads
        self.window = window
        self.temperature = nn.Parameter(torch.ones(n_heads, 1, 1))
        self.to_qkv = nn.Conv2d(channels, channels * 3, 1, bias=bias)
        self.depthwise = DepthwiseConv(channels * 3, bias=bias, adaptive_std=ATTENTION_KERNEL_STD if adaptive else None)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, features: Tensor, generated: Optional[Tensor] = None) -> Tensor:
        """Attend within each TLC window and average where windows overlap."""
        qkv = self.depthwise(self.to_qkv(features), generated)
        return self.project_out(self.attend_in_windows(qkv))

    def attend_in_windows(self, qkv: Tensor) -> Tensor:
        """Attend within each window: ``(B, 3C, H, W) -> (B, C, H, W)``."""
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            is_recorded = torch.compiler.is_exporting()
            if is_recorded:
                return attend_at_once(self.attend, qkv, self.window)
        attended = [self.attend(part) for part in split_windows(qkv, self.window)]
        return merge_windows(attended, qkv.shape[-2], qkv.shape[-1], self.window)

    def attend(self, qkv: Tensor) -> Tensor:
        """Transposed attention over all pixels given: ``(B, 3C, H, W) -> (B, C, H, W)``."""
        batch, _, height, width = qkv.shape
        query, key, value = qkv.reshape(batch, 3, self.n_heads, -1, height * width).unbind(1)
        similarity = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        attention = torch.softmax(similarity * self.temperature, dim=-1)
        return (attention @ value).reshape(batch, -1, height, width)


class GDFN(nn.Module):
    """Gated-Dconv feed-forward network: one half of the hidden channels gates the other.

    Args:
        channels: width ``C``.
        expansion: the hidden width is ``int(expansion * C)``.
        bias: biases in the convolutions.
        adaptive: let generated kernels adapt the depthwise convolution.

    Shape:
        features ``(B, C, H, W)``, generated ``(B, 2 * hidden, 1, 3, 3)`` -> ``(B, C, H, W)``.

    Source:
        arXiv:2111.09881, section 3.2.
    """

    def __init__(self, channels: int, expansion: float, *, bias: bool, adaptive: bool) -> None:
        super().__init__()
        hidden = hidden_width(channels, expansion)
        self.project_in = nn.Conv2d(channels, hidden * 2, 1, bias=bias)
        self.depthwise = DepthwiseConv(
            hidden * 2, bias=bias, adaptive_std=FEED_FORWARD_KERNEL_STD if adaptive else None
        )
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, features: Tensor, generated: Optional[Tensor] = None) -> Tensor:
        """Expand, convolve, gate, project back."""
        gate, content = self.depthwise(self.project_in(features), generated).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * content)


def hidden_width(channels: int, expansion: float) -> int:
    """Hidden width of the feed-forward network at a level of width ``channels``."""
    return int(channels * expansion)


class TransformerBlock(nn.Module):
    """Attention, then feed-forward, each on normalised features and added back.

    It is static in the encoder and in the Restormer twin. As a weight-adaptive block it takes a level's generated
    kernels.

    Args:
        channels: width ``C``.
        n_heads: number of attention heads.
        window: side of the TLC windows in pixels at this level.
        expansion: expansion of the feed-forward network.
        bias: biases in the convolutions.
        adaptive: let generated kernels adapt the depthwise convolutions.

    Shape:
        features ``(B, C, H, W)`` -> ``(B, C, H, W)``.
    """

    def __init__(
        self, channels: int, n_heads: int, *, window: int, expansion: float, bias: bool, adaptive: bool
    ) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(channels)
        self.attention = MDTA(channels, n_heads, window=window, bias=bias, adaptive=adaptive)
        self.norm2 = ChannelLayerNorm(channels)
        self.feed_forward = GDFN(channels, expansion, bias=bias, adaptive=adaptive)

    def forward(self, features: Tensor, kernels: Optional[BlockKernels] = None) -> Tensor:
        """Run the block, with the shared or with the adapted kernels."""
        for_attention = None if kernels is None else kernels.attention
        for_feed_forward = None if kernels is None else kernels.feed_forward
        features = features + self.attention(self.norm1(features), for_attention)
        return features + self.feed_forward(self.norm2(features), for_feed_forward)
