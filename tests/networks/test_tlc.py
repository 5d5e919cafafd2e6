from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.networks.tlc import WindowCells, merge_windows, split_windows, window_starts
from tests.helper import assert_covers_once

sizes = st.integers(1, 60)


@given(size=st.integers(1, 2000), window=st.integers(1, 400))
def test_windows_cover_the_axis_evenly(size, window):
    starts = window_starts(size, window)
    assert starts[0] == 0
    assert starts[-1] == max(size - window, 0)
    steps = [later - earlier for earlier, later in pairwise(starts)]
    assert all(0 < step <= window for step in steps)
    assert len(set(steps[:-1])) <= 1


@given(height=sizes, width=sizes, window=st.integers(1, 40))
def test_merge_undoes_split(height, width, window):
    features = torch.rand(2, 3, height, width)
    merged = merge_windows(split_windows(features, window), height, width, window)
    torch.testing.assert_close(merged, features)


@given(height=sizes, width=sizes, window=st.integers(1, 40))
def test_windows_are_a_partition_of_unity(height, width, window):
    assert_covers_once(
        lambda features: split_windows(features, window),
        lambda parts: merge_windows(parts, height, width, window),
        shape=(1, 1, height, width),
    )


@pytest.mark.parametrize(
    ("size", "starts"),
    [(128, [0]), (192, [0]), (193, [0, 1]), (256, [0, 64]), (320, [0, 128]), (512, [0, 160, 320])],
)
def test_windows_of_the_papers_first_level(size, starts):
    assert window_starts(size, 192) == starts


@given(height=sizes, width=sizes, window=st.integers(1, 40))
def test_cells_stand_for_the_pixels_of_the_windows(height, width, window):
    features, cells = torch.rand(1, 1, height, width), WindowCells(height, width, window)
    rows = list(pairwise(cells.row_cuts))
    of_cells = torch.zeros(len(rows), len(cells.column_cuts) - 1)
    for top, bottom in rows:
        for cell, columns in cells.across(bottom - 1):
            of_cells[cell] += features[0, 0, top:bottom, columns].sum()
    windows = split_windows(features, window)
    sums = cells.sum_in_windows(of_cells)
    torch.testing.assert_close(sums.flatten(), torch.stack([part.sum() for part in windows]))

    filled = [torch.full_like(part, float(value)) for part, value in zip(windows, sums.flatten(), strict=True)]
    merged = merge_windows(filled, height, width, window)
    averages = cells.average_windows(sums)
    for top, bottom in rows:
        for cell, columns in cells.across(top):
            torch.testing.assert_close(
                merged[0, 0, top:bottom, columns], averages[cell].expand(bottom - top, columns.stop - columns.start)
            )
