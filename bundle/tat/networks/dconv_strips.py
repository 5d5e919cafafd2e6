"""The first steps of attention and feed-forward in strips of rows: layer norm, 1x1 and 3x3 depthwise convolution."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bundle.tat.networks.strips import rows_within, strip_bounds

# Vector instructions work on 16 numbers at once; channels that are not whole vectors take up to twice as long.
VECTOR: Final = 16


class Dconv(NamedTuple):
    """Some channels of a 1x1 convolution and of the depthwise convolution after it.

    Attributes:
        weight: of the 1x1 convolution, ``(n, C)``; ``n`` is a whole number of vectors.
        bias: of the 1x1 convolution, ``(n,)``.
        kernels: of the depthwise convolution, ``(n, 1, 3, 3)``; of each sample, ``(B, n, 1, 3, 3)``.
        kernel_bias: of the depthwise convolution, ``(n,)``.
    """

    weight: Tensor
    bias: Optional[Tensor]
    kernels: Tensor
    kernel_bias: Optional[Tensor]

    def project(self, rows: Tensor, out: Tensor) -> None:
        """Write the 1x1 convolution of ``rows (r, W, C)`` to ``out (r, W, n)``."""
        pixels, result = rows.flatten(0, 1), out.flatten(0, 1)
        if self.bias is None:
            torch.mm(pixels, self.weight.t(), out=result)
        else:
            torch.addmm(self.bias, pixels, self.weight.t(), out=result)

    def convolve(self, rows: Tensor) -> Tensor:
        """Convolve depthwise, padded to the left and right only: ``(1, r + 2, W, n) -> (r, W, n)``."""
        maps = rows.permute(0, 3, 1, 2)
        convolved = F.conv2d(maps, self.kernels, self.kernel_bias, padding=(0, 1), groups=len(self.kernels))
        return convolved[0].permute(1, 2, 0)


def divide_dconv(
    pointwise: nn.Conv2d, kernels: Tensor, kernel_bias: Optional[Tensor], *, n_parts: int, dtype: torch.dtype
) -> list[Dconv]:
    """Divide the channels of a 1x1 and a depthwise convolution evenly, as into query, key and value.

    Args:
        pointwise: the 1x1 convolution.
        kernels: depthwise kernels of one sample, ``(n, 1, 3, 3)``, or of each, ``(B, n, 1, 3, 3)``.
        kernel_bias: bias of the depthwise convolution, ``(n,)``.
        n_parts: number of parts.
        dtype: type to compute in.

    Returns:
        The parts, each with channels of zeros after its own.
    """

    def divided(values: Optional[Tensor], dim: int) -> list[Optional[Tensor]]:
        if values is None:
            return [None] * n_parts
        return [whole_vectors(part.to(dtype), dim=dim) for part in values.chunk(n_parts, dim)]

    fields = (pointwise.weight.flatten(1), pointwise.bias, kernels, kernel_bias)
    return [Dconv(*part) for part in zip(*map(divided, fields, (0, 0, -4, 0)), strict=True)]


def whole_vectors(values: Tensor, *, dim: int) -> Tensor:
    """Append zeros along ``dim`` up to a whole number of vectors."""
    missing = list(values.shape)
    missing[dim] = -values.shape[dim] % VECTOR
    return torch.cat([values, values.new_zeros(missing)], dim) if missing[dim] else values


def dconv_strips(
    features: Tensor,
    norm: Callable[[Tensor], Tensor],
    parts: Sequence[Dconv],
    *,
    cuts: Sequence[int],
    max_memory: float,
) -> Iterator[tuple[int, int, list[Tensor]]]:
    """Evaluate the parts from the top strip to the bottom one.

    A strip keeps its last two projected rows for the next strip, so no row is projected twice. The caller may overwrite
    the rows of ``features`` whose strips it has got.

    Args:
        features: one sample, ``(H, W, C)``.
        norm: normalises rows ``(r, W, C)``.
        parts: convolutions to compute.
        cuts: rows that no strip crosses, from 0 to ``H``.
        max_memory: memory for the rows of a strip, before and after the depthwise convolution [MiB].

    Yields:
        First row, row after the last, and the strip of each part ``(r, W, n)``.
    """
    height, width, _ = features.shape
    row_bytes = sum(2 * width * len(part.weight) * part.weight.element_size() for part in parts)
    bounds = strip_bounds(cuts, rows_within(max_memory, row_bytes))
    tallest = max(bottom - top for top, bottom in pairwise(bounds))
    buffers = [part.weight.new_zeros(1, tallest + 2, width, len(part.weight)) for part in parts]
    n_before = 0
    for top, bottom in pairwise(bounds):
        # Row r of the map is row r - top + 1 of the buffers.
        first, end = (top + 1 if top else 0), min(bottom + 1, height)
        normalised = norm(features[first:end]).to(parts[0].weight.dtype)
        for part, buffer in zip(parts, buffers, strict=True):
            rows = buffer[0]
            for edge in (0, 1):
                rows[edge] = rows[n_before + edge]
            part.project(normalised, rows[first - top + 1 : end - top + 1])
            rows[end - top + 1 : bottom - top + 2] = 0
        n_before = bottom - top
        projected = [buffer[:, : n_before + 2] for buffer in buffers]
        yield top, bottom, [part.convolve(rows) for part, rows in zip(parts, projected, strict=True)]
