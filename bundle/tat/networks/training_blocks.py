"""Restormer's transformer blocks for training on a CPU, with maps ``(H, W, B, C)`` and the same results.

With the channels of a pixel side by side, a 1x1 convolution is one product of matrices. With the samples beside them,
kernels that differ between samples are one depthwise convolution of ``B * C`` channels. Few maps are copied.
"""

from typing import Optional

import torch
from torch import Tensor
from torch.nn import functional as F

from bundle.tat.networks.dconv_strips import Dconv, divide_dconv, whole_vectors
from bundle.tat.networks.restormer import GDFN, MDTA, TransformerBlock
from bundle.tat.networks.strip_blocks import NORM_EPS
from bundle.tat.networks.strips import runs_on_cpu
from bundle.tat.networks.weight_adaptive import BlockKernels


def evaluates_pixels_first(features: Tensor, window: int) -> bool:
    """Whether this replaces the plain evaluation: for a gradient on a CPU, within one TLC window."""
    return runs_on_cpu(features) and torch.is_grad_enabled() and max(features.shape[-2:]) <= window


def pixels_first(features: Tensor) -> Tensor:
    """``(B, C, H, W) -> (H, W, B, C)``; undone by ``samples_first``."""
    return features.permute(2, 3, 0, 1).contiguous()


def samples_first(features: Tensor) -> Tensor:
    """``(H, W, B, C) -> (B, C, H, W)``; undoes ``pixels_first``."""
    return features.permute(2, 3, 0, 1).contiguous()


def run_pixels_first(block: TransformerBlock, features: Tensor, kernels: Optional[BlockKernels]) -> Tensor:
    """Run a block on features ``(H, W, B, C)``."""
    for_attention, for_feed_forward = (None, None) if kernels is None else kernels
    features = features + _attention(block.attention, block.norm1.normalise(features), for_attention)
    return features + _feed_forward(block.feed_forward, block.norm2.normalise(features), for_feed_forward)


def _attention(attention: MDTA, features: Tensor, generated: Optional[Tensor]) -> Tensor:
    """``attention(features, generated)``."""
    height, width, batch, channels = features.shape
    kernels = attention.depthwise.kernels(generated)
    parts = divide_dconv(attention.to_qkv, kernels, attention.depthwise.bias, n_parts=3, dtype=features.dtype)
    # Heads of all samples side by side: (pixels, B * heads, channels of a head).
    n_maps = batch * attention.n_heads
    query, key, value = (_dconv(part, features)[..., :channels].reshape(height * width, n_maps, -1) for part in parts)
    query_norms, key_norms = (torch.linalg.vector_norm(part, dim=0).clamp_min(NORM_EPS) for part in (query, key))
    similarity = query.permute(1, 2, 0) @ key.transpose(0, 1) / (query_norms[:, :, None] * key_norms[:, None])
    similarity = similarity.unflatten(0, (batch, -1)) * attention.temperature
    # Attention and projection together are one product with the values.
    weight = attention.project_out.weight.reshape(channels, attention.n_heads, -1)
    matrices = torch.einsum("ohd,bhdv->bhvo", weight, torch.softmax(similarity, dim=-1)).flatten(1, 2)
    attended = (value.reshape(-1, batch, channels).transpose(0, 1) @ matrices).transpose(0, 1)
    bias = attention.project_out.bias
    return (attended if bias is None else attended + bias).reshape(features.shape)


def _feed_forward(feed_forward: GDFN, features: Tensor, generated: Optional[Tensor]) -> Tensor:
    """``feed_forward(features, generated)``."""
    kernels = feed_forward.depthwise.kernels(generated)
    parts = divide_dconv(feed_forward.project_in, kernels, feed_forward.depthwise.bias, n_parts=2, dtype=features.dtype)
    gate, content = (_dconv(part, features) for part in parts)
    weight = whole_vectors(feed_forward.project_out.weight.flatten(1), dim=1)
    return F.linear(F.gelu(gate) * content, weight, feed_forward.project_out.bias)


def _dconv(part: Dconv, features: Tensor) -> Tensor:
    """1x1 and 3x3 depthwise convolution: ``(H, W, B, C) -> (H, W, B, n)``."""
    height, width, batch, _ = features.shape
    n_channels = len(part.weight)
    # As views, and with the axis of 1 in front, these are maps in channels_last to PyTorch, backward too.
    projected = F.linear(features, part.weight, part.bias).view(1, height, width, batch * n_channels)
    kernels = part.kernels.expand(batch, n_channels, 1, 3, 3).flatten(0, 1)
    bias = None if part.kernel_bias is None else part.kernel_bias.repeat(batch)
    convolved = F.conv2d(projected.permute(0, 3, 1, 2), kernels, bias, padding=1, groups=batch * n_channels)
    return convolved.permute(0, 2, 3, 1).reshape(height, width, batch, n_channels)
