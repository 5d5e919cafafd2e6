"""TLC in one piece, for graphs that are recorded once and run at every size: no loop, and no branch on a size.

A recording keeps only the branches and turns that it saw. Here the number of windows is the length of a tensor, so that
one graph is right for all sizes. The numbers are those of ``tlc``; a map smaller than a window costs a whole one.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def attend_at_once(attend: Callable[[Tensor], Tensor], qkv: Tensor, window: int) -> Tensor:
    """Attend within all windows of all samples as one batch, and average where they overlap.

    Pixels of a window that lie outside of the map are zeros, which add nothing to norms and products over pixels.

    Args:
        attend: ``(N, 3C, window, window) -> (N, C, window, window)``.
        qkv: ``(B, 3C, H, W)``.
        window: side of a window in pixels.

    Returns:
        ``(B, C, H, W)``.
    """
    batch, channels, height, width = qkv.shape
    n_pixels = batch * height * width
    index = window_pixels(batch, height, width, window, qkv.device).flatten()
    table = F.pad(qkv.permute(0, 2, 3, 1).reshape(n_pixels, channels), (0, 0, 0, 1))
    windows = table.index_select(0, index).reshape(-1, window, window, channels).permute(0, 3, 1, 2)
    attended = attend(windows).permute(0, 2, 3, 1).flatten(0, 2)
    total = attended.new_zeros(n_pixels + 1, channels // 3).index_add(0, index, attended)
    n_covering = attended.new_zeros(n_pixels + 1).index_add(0, index, torch.ones_like(index, dtype=attended.dtype))
    merged = (total / n_covering[:, None])[:n_pixels]
    return merged.reshape(batch, height, width, channels // 3).permute(0, 3, 1, 2)


def window_pixels(batch: int, height: int, width: int, window: int, device: torch.device) -> Tensor:
    """Which pixel of a batch each pixel of each window is, counted from the first sample's first row on.

    Args:
        batch: number of samples ``B``.
        height: height ``H`` of the map.
        width: width ``W`` of the map.
        window: side of a window in pixels.
        device: where the numbers are wanted.

    Returns:
        ``(N, window, window)``; pixels outside of the map are ``B * H * W``. The last window is empty: with it ``N`` is
        never 1, a length that the recording would take as a case of its own.
    """
    n_rows, n_columns = (height - 1) // window + 1, (width - 1) // window + 1
    index = torch.arange(batch * n_rows * n_columns + 1, device=device)
    # Remainders by hand: the exporter to ONNX knows none by a length.
    row_of_windows = index // n_columns
    samples = row_of_windows // n_rows
    rows = _axis_pixels(row_of_windows - samples * n_rows, height, window)[:, :, None]
    columns = _axis_pixels(index - row_of_windows * n_columns, width, window)[:, None, :]
    nowhere = batch * height * width
    pixels = (samples[:, None, None] * height + rows) * width + columns
    return torch.where((rows < height) & (columns < width), pixels, nowhere).clamp(max=nowhere)


def _axis_pixels(index: Tensor, size: int, window: int) -> Tensor:
    """Pixels along one axis of the windows with these numbers, ``(N, window)``; ``size`` and more lie outside.

    The rule of ``tlc.window_starts`` in tensors; windows that it drops, because an earlier one reaches the border, lie
    outside.
    """
    last = torch.full_like(index[:1], size - window).clamp(min=0)
    n_gaps = torch.full_like(index[:1], (size - 1) // window).clamp(min=1)
    step = ((last + n_gaps - 1) // n_gaps).clamp(min=1)
    starts = index * step
    starts = torch.where(starts < last + step, torch.minimum(starts, last), size)
    return starts[:, None] + torch.arange(window, device=index.device)
