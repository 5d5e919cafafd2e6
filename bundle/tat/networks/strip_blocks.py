"""Restormer's transformer blocks in strips of rows, in place: the same results with less memory."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Optional

import torch
from torch import Tensor
from torch.nn import functional as F

from bundle.tat.networks.dconv_strips import Dconv, dconv_strips, divide_dconv, whole_vectors
from bundle.tat.networks.restormer import GDFN, MDTA, ChannelLayerNorm, TransformerBlock
from bundle.tat.networks.tlc import WindowCells
from bundle.tat.networks.weight_adaptive import BlockKernels

# The smallest norm that is divided by, as in F.normalize.
NORM_EPS: Final = 1e-12


def run_in_strips(
    blocks: Iterable[TransformerBlock], features: Tensor, kernels: Optional[BlockKernels], *, max_memory: float
) -> Tensor:
    """Run blocks one after the other, each in place on a copy of the features.

    Args:
        blocks: the blocks of one level.
        features: ``(B, C, H, W)``.
        kernels: the level's generated kernels.
        max_memory: memory for the intermediate results of a strip [MiB].

    Returns:
        ``(B, C, H, W)``, with the channels of a pixel side by side in memory. Under autocast it is in single precision:
        only products and convolutions use autocast's type.
    """
    is_cast = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if is_cast else features.dtype
    # Subclasses, as of MONAI, would make each of the many small steps slow.
    features = features.as_subclass(Tensor)
    restored = features.to(torch.float32 if is_cast else dtype, memory_format=torch.channels_last, copy=True)
    with torch.autocast("cpu", enabled=False):
        for block in blocks:
            for index in range(len(restored)):
                sample = _Sample(restored[index].permute(1, 2, 0), dtype, max_memory)
                sample.add_attention(block.norm1, block.attention, kernels and kernels.attention[index])
                sample.add_feed_forward(block.norm2, block.feed_forward, kernels and kernels.feed_forward[index])
    return restored


class _Sample(NamedTuple):
    """The features of one sample, ``(H, W, C)``, the type to compute in and the memory for it."""

    features: Tensor
    dtype: torch.dtype
    max_memory: float

    def add_feed_forward(self, norm: ChannelLayerNorm, feed_forward: GDFN, generated: Optional[Tensor]) -> None:
        """Add ``feed_forward(norm(features), generated)`` in one pass over the rows."""
        kernels = feed_forward.depthwise.kernels(generated)
        parts = divide_dconv(feed_forward.project_in, kernels, feed_forward.depthwise.bias, n_parts=2, dtype=self.dtype)
        weight = whole_vectors(feed_forward.project_out.weight.flatten(1).to(self.dtype), dim=1)
        bias = feed_forward.project_out.bias
        for top, bottom, (gate, content) in self._strips(norm, parts, [0, len(self.features)]):
            _add_linear(self.features[top:bottom], F.gelu(gate).mul_(content), weight, bias)

    def add_attention(self, norm: ChannelLayerNorm, attention: MDTA, generated: Optional[Tensor]) -> None:
        """Add ``attention(norm(features), generated)`` in two passes: over queries and keys, then over values."""
        height, width, n_channels = self.features.shape
        cells = WindowCells(height, width, attention.window)
        kernels = attention.depthwise.kernels(generated)
        query, key, value = divide_dconv(
            attention.to_qkv, kernels, attention.depthwise.bias, n_parts=3, dtype=self.dtype
        )
        similarity = self._similarity(norm, [query, key], cells, attention.n_heads)
        matrices = cells.average_windows(torch.softmax(similarity * attention.temperature, dim=-1))
        weight = attention.project_out.weight.reshape(n_channels, attention.n_heads, -1)
        for top, bottom, (values,) in self._strips(norm, [value], cells.row_cuts):
            for cell, columns in cells.across(top):
                # Attention and projection together are one product with the values.
                matrix = torch.einsum("ohd,hdv->ohv", weight, matrices[cell]).flatten(1).to(self.dtype)
                rows = self.features[top:bottom, columns]
                _add_linear(rows, values[:, columns, :n_channels], matrix, attention.project_out.bias)

    def _similarity(self, norm: ChannelLayerNorm, parts: Sequence[Dconv], cells: WindowCells, n_heads: int) -> Tensor:
        """Cosines between the channels of query and key in each window: ``(windows, windows, heads, c, c)``."""
        n_channels = self.features.shape[-1]
        per_cell = (len(cells.row_cuts) - 1, len(cells.column_cuts) - 1, n_heads, n_channels // n_heads)
        products = self.features.new_zeros(*per_cell, n_channels // n_heads)
        query_squares, key_squares = self.features.new_zeros(2, *per_cell)
        for top, _, strip in self._strips(norm, parts, cells.row_cuts):
            for cell, columns in cells.across(top):
                pixels = (part[:, columns, :n_channels].to(products.dtype) for part in strip)
                query, key = (part.reshape(-1, *per_cell[2:]) for part in pixels)
                products[cell] += query.permute(1, 2, 0) @ key.transpose(0, 1)
                query_squares[cell] += query.square().sum(0)
                key_squares[cell] += key.square().sum(0)
        query_norms, key_norms = (
            cells.sum_in_windows(squares).sqrt().clamp_min(NORM_EPS) for squares in (query_squares, key_squares)
        )
        return cells.sum_in_windows(products) / (query_norms[..., None] * key_norms[..., None, :])

    def _strips(
        self, norm: ChannelLayerNorm, parts: Sequence[Dconv], cuts: Sequence[int]
    ) -> Iterator[tuple[int, int, list[Tensor]]]:
        return dconv_strips(self.features, norm.normalise, parts, cuts=cuts, max_memory=self.max_memory)


def _add_linear(rows: Tensor, inputs: Tensor, weight: Tensor, bias: Optional[Tensor]) -> None:
    """Add a 1x1 convolution of ``inputs`` in their type to ``rows``, in place."""
    rows += F.linear(inputs, weight, None if bias is None else bias.to(inputs.dtype))
