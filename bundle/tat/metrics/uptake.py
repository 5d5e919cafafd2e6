"""SUVmax and SUVpeak of a PET scan, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Sphere that SUVpeak is the mean of: 1 cm^3.
PEAK_RADIUS: Final = (3.0 / (4.0 * np.pi)) ** (1 / 3) * 10.0  # mm
# Number of places, and the smallest distance between two of them [mm].
N_PLACES: Final = 3
PLACES_APART: Final = 30.0


class HotPlace(NamedTuple):
    """One of the hottest places of a scan.

    Args:
        voxel: indices of the hottest voxel in the mean of input and restored scan.
        suv_max: largest value within the sphere before and after [SUV].
        suv_peak: mean over the sphere of 1 cm^3 before and after [SUV].
    """

    voxel: tuple[int, int, int]
    suv_max: tuple[float, float]
    suv_peak: tuple[float, float]


def hottest_places(image: NDArray[np.float32], restored: NDArray[np.float32], voxel: Sequence[float]) -> list[HotPlace]:
    """Compare SUVmax and SUVpeak of the hottest places.

    A place is found in the mean of both volumes. So neither the noise of the input nor the change by the restoration
    decides where it is.

    Args:
        image: volume before ``(W, H, D)`` [SUV].
        restored: volume after ``(W, H, D)`` [SUV].
        voxel: sides of a voxel [mm].

    Returns:
        At most ``N_PLACES`` places, the hottest first; none where no voxel is above 0.

    Source:
        Wahl et al. 2009, doi:10.2967/jnumed.108.057307: SUVpeak is the mean of a sphere of 1 cm^3 about the hottest
        place of a lesion.
    """
    mean = image + restored
    places = []
    for _ in range(N_PLACES):
        index = np.unravel_index(int(mean.argmax()), mean.shape)
        if not mean[index] > 0:
            break
        centre = (int(index[0]), int(index[1]), int(index[2]))
        box, inside = _sphere(centre, image.shape, voxel, PEAK_RADIUS)
        before, after = image[box][inside], restored[box][inside]
        places.append(
            HotPlace(centre, (float(before.max()), float(after.max())), (float(before.mean()), float(after.mean())))
        )
        around, near = _sphere(centre, image.shape, voxel, PLACES_APART)
        mean[around][near] = -np.inf
    return places


def _sphere(
    centre: tuple[int, int, int], shape: Sequence[int], voxel: Sequence[float], radius: float
) -> tuple[tuple[slice, ...], NDArray[np.bool_]]:
    """The box about a sphere, and the mask of voxels whose centre is inside; the middle voxel is always inside."""
    reach = [int(radius / side) for side in voxel]
    box = tuple(
        slice(max(middle - steps, 0), min(middle + steps + 1, size))
        for middle, steps, size in zip(centre, reach, shape, strict=True)
    )
    grids = np.ogrid[box]
    squares = sum(
        (((grid - middle) * side) ** 2 for grid, middle, side in zip(grids, centre, voxel, strict=True)), np.zeros(1)
    )
    return box, squares <= radius**2
