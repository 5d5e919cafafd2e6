"""Where voxels lie: the check of an affine, and the distance between two affines."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.refusal import RefusedInputError

# Two affines are equal when no corner of the volume differs by more than this part of a voxel's side.
GEOMETRY_TOLERANCE: Final = 0.1

_N_AXES: Final = 3


def corner_distance(affine: NDArray[np.float64], other: NDArray[np.float64], shape: Sequence[int]) -> float:
    """The largest distance between the corners of a volume under two affines [mm].

    Args:
        affine: array indices to RAS [mm], ``(4, 4)``.
        other: another such affine.
        shape: sizes of the array axes; those that are missing count as 1.
    """
    size = (*shape, 1, 1)[:_N_AXES]
    corners = np.array([[i, j, k, 1] for i in (0, size[0]) for j in (0, size[1]) for k in (0, size[2])])
    return float(np.linalg.norm((affine - other)[:_N_AXES] @ corners.T, axis=0).max())


def smallest_side(affine: NDArray[np.float64]) -> float:
    """The shortest distance of neighbouring voxels [mm].

    Args:
        affine: array indices to RAS [mm], ``(4, 4)``.
    """
    return float(np.linalg.norm(affine[:_N_AXES, :_N_AXES], axis=0).min())


def check_affine(affine: NDArray[np.float64], shape: Sequence[int]) -> None:
    """Refuse an affine that is singular or not finite.

    Args:
        affine: array indices to RAS [mm], ``(4, 4)``.
        shape: sizes of the array axes.

    Raises:
        RefusedInputError: it is not finite, or different voxels lie in one place.
    """
    axes = [axis for axis, size in enumerate(shape[:_N_AXES]) if size > 1]
    steps = affine[:_N_AXES, axes]
    # Before numpy 2, a matrix without columns has no rank.
    if not np.isfinite(affine).all() or (axes and np.linalg.matrix_rank(steps) < len(axes)):
        raise RefusedInputError(
            f"its affine {affine[:_N_AXES].tolist()} puts different voxels in one place: correct its header"
        )
