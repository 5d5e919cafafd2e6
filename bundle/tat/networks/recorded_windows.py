"""TLC without loops and branches on the size, for graphs that are recorded once and run at every size.

A recording keeps only the branches and loops that it saw. Here the number of windows is the length of a tensor, so one
graph is right for all sizes. The results are those of ``tlc``. A map smaller than a window takes the time of a window.
"""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F


def attend_at_once(attend: Callable[[Tensor], Tensor], qkv: Tensor, window: int) -> Tensor:
    """Attend within all windows of all samples as one batch, and average where they overlap.

    Pixels of a window outside of the map are zeros, which add nothing to norms and products over pixels. The average
    gathers values instead of scattering them: ONNX Runtime scatters with several threads at once and loses summands.

    Args:
        attend: ``(N, 3C, window, window) -> (N, C, window, window)``.
        qkv: ``(B, 3C, H, W)``.
        window: side of a window in pixels.

    Returns:
        ``(B, C, H, W)``.
    """
    batch, channels, height, width = qkv.shape
    index = window_pixels(batch, height, width, window, qkv.device).flatten()
    pixels = F.pad(qkv.permute(0, 2, 3, 1).reshape(batch * height * width, channels), (0, 0, 0, 1))
    windows = pixels.index_select(0, index).reshape(-1, window, window, channels).permute(0, 3, 1, 2)
    attended = attend(windows).permute(0, 2, 3, 1).flatten(0, 2)
    places = covering_places(batch, height, width, window, qkv.device)
    merged = sum((attended.index_select(0, place.flatten()) for place in places), start=torch.zeros_like(attended[:1]))
    return (merged / len(places)).reshape(batch, height, width, channels // 3).permute(0, 3, 1, 2)


def window_pixels(batch: int, height: int, width: int, window: int, device: torch.device) -> Tensor:
    """Index in the batch of each pixel of each window, counted from the first row of the first sample.

    Args:
        batch: number of samples ``B``.
        height: height ``H`` of the map.
        width: width ``W`` of the map.
        window: side of a window in pixels.
        device: where the numbers are wanted.

    Returns:
        ``(N, window, window)``; pixels outside of the map have the index ``B * H * W``. The last window is empty, so
        ``N`` is never 1, which the recording would handle as a special case.
    """
    n_rows, n_columns = _n_windows(height, window), _n_windows(width, window)
    index = torch.arange(batch * n_rows * n_columns + 1, device=device)
    # The exporter to ONNX supports no remainder of a division by a length.
    row_of_windows = index // n_columns
    samples = row_of_windows // n_rows
    rows = _axis_pixels(row_of_windows - samples * n_rows, height, window)[:, :, None]
    columns = _axis_pixels(index - row_of_windows * n_columns, width, window)[:, None, :]
    nowhere = batch * height * width
    pixels = (samples[:, None, None] * height + rows) * width + columns
    return torch.where((rows < height) & (columns < width), pixels, nowhere).clamp(max=nowhere)


def covering_places(batch: int, height: int, width: int, window: int, device: torch.device) -> list[Tensor]:
    """Index of each pixel in ``window_pixels``, in the first and the last window of each axis that hold it.

    No pixel lies in more than two windows of an axis, so the mean of the four is the mean of all windows.

    Args:
        batch: number of samples ``B``.
        height: height ``H`` of the map.
        width: width ``W`` of the map.
        window: side of a window in pixels.
        device: where the numbers are wanted.

    Returns:
        Four times ``(B, H, W)``.
    """
    samples = torch.arange(batch, device=device)[:, None, None]
    places = []
    for rows, columns in product(_covering(height, window, device), _covering(width, window, device)):
        (row_number, row), (column_number, column) = rows, columns
        number = samples * _n_windows(height, window) + row_number[:, None]
        number = number * _n_windows(width, window) + column_number
        places.append((number * window + row[:, None]) * window + column)
    return places


def _n_windows(size: int, window: int) -> int:
    """Windows along an axis; the last ones are empty where earlier ones reach the border."""
    return (size - 1) // window + 1


def _last_and_step(size: int, window: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Start of the last window and distance between starts, the rule of ``tlc.window_starts`` in tensors of one."""
    last = torch.full((1,), size - window, device=device).clamp(min=0)
    n_gaps = torch.full((1,), (size - 1) // window, device=device).clamp(min=1)
    return last, ((last + n_gaps - 1) // n_gaps).clamp(min=1)


def _axis_pixels(index: Tensor, size: int, window: int) -> Tensor:
    """Pixels along one axis of the windows with these numbers, ``(N, window)``; ``size`` and more lie outside."""
    last, step = _last_and_step(size, window, index.device)
    starts = index * step
    starts = torch.where(starts < last + step, torch.minimum(starts, last), size)
    return starts[:, None] + torch.arange(window, device=index.device)


def _covering(size: int, window: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Number of the first and of the last window over each pixel of an axis, and the pixel's place in it."""
    last, step = _last_and_step(size, window, device)
    pixels = torch.arange(size, device=device)
    first_number = (pixels - window + step).clamp(min=0) // step
    last_number = torch.where(pixels < last, pixels // step, (last + step - 1) // step)
    numbers = (first_number, last_number)
    return [(number, pixels - torch.minimum(number * step, last)) for number in numbers]
