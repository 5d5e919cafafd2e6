"""Reconstruction of emission data by ordered subsets expectation maximisation."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.projector import ParallelBeam

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def osem(
    counts: NDArray[Any],
    beam: ParallelBeam,
    *,
    weights: NDArray[Any],
    background: float,
    n_iterations: int = 2,
    n_subsets: int = 10,
) -> NDArray[np.float32]:
    """Reconstruct an activity from counts, with attenuation and background in the model.

    There is no resolution model and no filter, so the noise is that of the data.

    Args:
        counts: prompts, shape ``beam.sinogram_shape``.
        beam: geometry of the counts.
        weights: expected counts per unit line integral of the activity (sensitivity times the attenuation factor),
            shape ``beam.sinogram_shape``.
        background: expected scattered and random counts in every bin.
        n_iterations: passes over the data.
        n_subsets: subsets of views in a pass.

    Returns:
        Activity, shape ``beam.shape``, not negative; zero where no ray passes.

    Raises:
        RefusedInputError: ``n_subsets`` does not divide the number of views, or ``n_iterations`` is below 1.

    Source:
        Hudson and Larkin 1994, doi:10.1109/42.363108.
    """
    if n_subsets < 1 or beam.n_angles % n_subsets:
        raise RefusedInputError(f"n_subsets {n_subsets} does not divide {beam.n_angles} views: pass a divisor")
    if n_iterations < 1:
        raise RefusedInputError(f"n_iterations is {n_iterations}: pass 1 or more")
    activity = np.ones(beam.shape[0] * beam.shape[1], dtype=np.float32)
    subsets = [
        (matrix, counts[start::n_subsets].ravel(), np.asarray(weights[start::n_subsets], dtype=np.float32).ravel())
        for start, matrix in enumerate(_subset_matrices(beam, n_subsets))
    ]
    floor = np.float32(1e-6)  # keeps a bin that expects nothing from dividing by zero
    for _ in range(n_iterations):
        for matrix, measured, weight in subsets:
            expected = np.maximum(weight * (matrix @ activity) + background, floor)
            sensitivity = matrix.T @ weight
            update = matrix.T @ (weight * (measured / expected).astype(np.float32))
            activity *= np.divide(update, sensitivity, out=np.zeros_like(update), where=sensitivity > floor)
    return activity.reshape(beam.shape)


@lru_cache(maxsize=2)
def _subset_matrices(beam: ParallelBeam, n_subsets: int) -> tuple[csr_matrix, ...]:
    """Split the projector into subsets of evenly spaced views; the slices of a volume share the result."""
    matrix = beam.matrix()
    bins = np.arange(matrix.shape[0]).reshape(beam.sinogram_shape)
    return tuple(matrix[bins[start::n_subsets].ravel()] for start in range(n_subsets))
