"""TLC, test-time local conversion: attention over windows of about the training size, in images of any size.

Channel attention sums over all pixels of its map. So a network that was trained on patches gets other statistics on
whole images. Overlapping windows that are a little larger than the training patch give similar statistics again.

Source:
    Chu et al. 2022, arXiv:2112.04491.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor


def window_starts(size: int, window: int) -> list[int]:
    """Where the windows along one axis begin: evenly spaced, the last one flush with the border.

    Args:
        size: length of the axis in pixels.
        window: length of a window in pixels; one window covers an axis that is not longer.

    Returns:
        Increasing starts, the first 0; together the windows cover every pixel.
    """
    n_windows = (size - 1) // window + 1
    last = max(size - window, 0)
    step = max((last + n_windows - 2) // max(n_windows - 1, 1), 1)
    starts = [0]
    while starts[-1] < last:
        starts.append(min(starts[-1] + step, last))
    return starts


def split_windows(features: Tensor, window: int) -> list[Tensor]:
    """Cut a map into overlapping windows, row by row.

    Args:
        features: ``(B, C, H, W)``.
        window: side of a window in pixels; a shorter axis is taken whole.

    Returns:
        Views ``(B, C, min(H, window), min(W, window))``.

    Raises:
        ValueError: the call is within ``torch.jit.trace``, which would keep the windows of this size for all sizes.
    """
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        _refuse_tracing()
    parts: list[Tensor] = []
    for top in window_starts(features.shape[-2], window):
        for left in window_starts(features.shape[-1], window):
            parts.append(features[:, :, top : top + window, left : left + window])
    return parts


@torch.jit.unused
def _refuse_tracing() -> None:
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        raise ValueError("a traced network would be wrong for images of another size: use torch.jit.script instead")


def merge_windows(parts: list[Tensor], height: int, width: int, window: int) -> Tensor:
    """Put windows back in their places and average where they overlap; undoes ``split_windows``.

    Args:
        parts: windows ``(B, C, h, w)`` in the order of ``split_windows``; the channels may have changed since.
        height: height ``H`` of the whole map.
        width: width ``W`` of the whole map.
        window: the side that the map was split with.

    Returns:
        The map ``(B, C, H, W)``.
    """
    if len(parts) == 1:
        return parts[0]
    total = parts[0].new_zeros((parts[0].shape[0], parts[0].shape[1], height, width))
    n_covering = parts[0].new_zeros((height, width))
    index = 0
    for top in window_starts(height, window):
        for left in window_starts(width, window):
            total[:, :, top : top + window, left : left + window] += parts[index]
            n_covering[top : top + window, left : left + window] += 1
            index += 1
    return torch.div(total, n_covering)


class WindowCells:
    """The cells that the borders of the windows cut a map into; each lies wholly inside or outside of each window.

    Windows overlap, but cells do not. The sum over the pixels of a window is the sum over its cells. The average of the
    windows is the same for all pixels of a cell.

    Args:
        height: height of the map in pixels.
        width: width of the map in pixels.
        window: side of a window in pixels; a shorter axis is taken whole.

    Attributes:
        row_cuts: first row of each cell, and the height.
        column_cuts: first column of each cell, and the width.
    """

    def __init__(self, height: int, width: int, window: int) -> None:
        self.row_cuts, self._rows = _cut_axis(height, window)
        self.column_cuts, self._columns = _cut_axis(width, window)

    def across(self, row: int) -> Iterator[tuple[tuple[int, int], slice]]:
        """Index and columns of each cell that a row of the map crosses, from left to right."""
        row_of_cells = bisect_right(self.row_cuts, row) - 1
        for column, (left, right) in enumerate(pairwise(self.column_cuts)):
            yield (row_of_cells, column), slice(left, right)

    def sum_in_windows(self, of_cells: Tensor) -> Tensor:
        """Each window's sum over its cells: ``(cells, cells, ...) -> (windows, windows, ...)``."""
        return torch.einsum("ya,xb,ab...->yx...", self._rows.to(of_cells), self._columns.to(of_cells), of_cells)

    def average_windows(self, of_windows: Tensor) -> Tensor:
        """Each cell's average over its windows: ``(windows, windows, ...) -> (cells, cells, ...)``."""
        rows, columns = ((covers / covers.sum(0)).to(of_windows) for covers in (self._rows, self._columns))
        return torch.einsum("ya,xb,yx...->ab...", rows, columns, of_windows)


def _cut_axis(size: int, window: int) -> tuple[list[int], Tensor]:
    """Where the cells of an axis begin, its length, and which window covers which cell: ``(windows, cells)``."""
    starts = window_starts(size, window)
    cuts = sorted({0, size, *starts, *(min(start + window, size) for start in starts)})
    return cuts, torch.tensor([[start <= cut < start + window for cut in cuts[:-1]] for start in starts])
