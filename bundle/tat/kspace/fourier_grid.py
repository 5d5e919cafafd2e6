"""Bringing a slice to a finer grid of the same field of view by zero-filling k-space, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.tat.refusal import RefusedInputError


@dataclass(frozen=True)
class FourierGrid:
    """The finer grid of one axis.

    The finer pixels cover the same field of view, edge to edge. So the centre of the first one lies
    ``(n / n_fine - 1) / 2`` coarse pixels from that of the first coarse one.

    Args:
        n: pixels of the axis.
        n_fine: pixels of the finer grid, at least ``n``.

    Raises:
        RefusedInputError: ``n_fine`` is below ``n``.
    """

    n: int
    n_fine: int

    def __post_init__(self) -> None:
        if not 1 <= self.n <= self.n_fine:
            raise RefusedInputError(
                f"n is {self.n} and n_fine is {self.n_fine}: pass n of 1 or more, and n_fine of at least n"
            )

    @property
    def first_centre(self) -> float:
        """Centre of the first finer pixel, in coarse pixels from that of the first coarse one."""
        return (self.n / self.n_fine - 1.0) / 2.0

    @cached_property
    def refine(self) -> NDArray[np.float64]:
        """The matrix ``(n_fine, n)`` that interpolates: zero-filled k-space, moved by a part of a pixel.

        With an even number of lines, half of the highest frequency goes to each of its two signs. So a real image stays
        real.
        """
        places = np.arange(self.n_fine) * self.n / self.n_fine + self.first_centre
        frequencies = 2.0 * np.pi * np.arange(1, (self.n - 1) // 2 + 1) / self.n
        fine, coarse = np.outer(places, frequencies), np.outer(np.arange(self.n), frequencies)
        kernel = 1.0 + 2.0 * (np.cos(fine) @ np.cos(coarse).T + np.sin(fine) @ np.sin(coarse).T)
        if self.n % 2 == 0:
            kernel += np.cos(np.pi * (places[:, None] - np.arange(self.n)))
        matrix: NDArray[np.float64] = kernel / self.n
        return matrix

    @cached_property
    def coarsen(self) -> NDArray[np.float64]:
        """The matrix ``(n, n_fine)`` that undoes ``refine``: it keeps only the coarse image's part of k-space."""
        return np.linalg.pinv(self.refine).astype(np.float64)


def apply_to_slice(
    image: NDArray[Any], along_rows: NDArray[np.float64], along_columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Apply the matrices of two axes to a slice.

    Args:
        image: ``(H, W)``.
        along_rows: ``(H', H)``.
        along_columns: ``(W', W)``.

    Returns:
        ``(H', W')``.
    """
    result: NDArray[np.float64] = along_rows @ image @ along_columns.T
    return result
