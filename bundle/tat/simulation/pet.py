"""Low-count PET: an image from a subset of the counts of the standard image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bundle.tat.image_checks import check_image
from bundle.tat.optional import import_optional
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.checks import check_interval
from bundle.tat.simulation.osem import osem
from bundle.tat.simulation.projector import ParallelBeam

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


class CountPair(NamedTuple):
    """The two reconstructions of one acquisition, each of shape ``(H, W)`` [SUV]."""

    low: NDArray[np.float32]
    standard: NDArray[np.float32]


@dataclass(frozen=True)
class Acquisition:
    """Parameters of the measurement and the reconstruction of a slice.

    Args:
        sensitivity: counts in a bin per line integral of 1 SUV mm, before attenuation, at the standard count.
        count_fraction: share of the counts in the low-count image, in (0, 1].
        resolution: full width at half maximum of the scanner's blur [mm].
        background_fraction: scattered and random counts over true ones, spread evenly over the sinogram.
        n_angles: number of views over 180 degrees.
        n_iterations: passes of the reconstruction over the data.
        n_subsets: subsets of views; divides ``n_angles``.

    Raises:
        RefusedInputError: a parameter is outside its bounds.
    """

    sensitivity: float = 8.0 / 3.0
    count_fraction: float = 1.0 / 12.0
    resolution: float = 5.0
    background_fraction: float = 0.35
    n_angles: int = 180
    n_iterations: int = 2
    n_subsets: int = 10

    def __post_init__(self) -> None:
        check_interval(self.sensitivity, "sensitivity", 0.0, math.inf)
        check_interval(self.count_fraction, "count_fraction", 0.0, 1.0)
        if not (0.0 <= self.resolution < math.inf and 0.0 <= self.background_fraction < math.inf):
            raise RefusedInputError(
                f"resolution {self.resolution} or background_fraction {self.background_fraction} is negative or not "
                "finite: pass values of 0 or more"
            )


TORSO = Acquisition()
BRAIN = Acquisition(sensitivity=1.5)


def acquire(
    activity: NDArray[Any],
    attenuation: NDArray[Any],
    *,
    pixel_size: float,
    seed: int,
    acquisition: Acquisition = TORSO,
) -> CountPair:
    """Measure a slice of activity, and reconstruct it from all counts and from a share of them.

    Args:
        activity: true uptake, shape ``(H, W)`` [SUV].
        attenuation: linear attenuation at 511 keV, shape ``(H, W)`` [1/mm]; water has 0.0096.
        pixel_size: side of a square pixel [mm].
        seed: of the counts; one per slice.
        acquisition: the scanner and the reconstruction.

    Returns:
        The low-count and the standard-count reconstruction. The low counts are drawn from the standard counts, as in a
        shorter scan. So the noise of the two is correlated, as in list-mode data.

    Raises:
        RefusedInputError: a map is not a finite slice, is negative, or the two differ in shape.
        ImportError: the optional packages ``simulation`` are not installed.

    Source:
        Poisson counts of the attenuated line integrals: Shepp and Vardi 1982, doi:10.1109/TMI.1982.4307558.
    """
    _check_maps(activity, attenuation)
    random = np.random.default_rng(seed)
    beam = ParallelBeam((activity.shape[0], activity.shape[1]), pixel_size, acquisition.n_angles)
    sigma = acquisition.resolution / FWHM_PER_SIGMA / pixel_size
    blurred = import_optional("scipy.ndimage").gaussian_filter(activity.astype(np.float32), sigma)
    weights = np.float32(acquisition.sensitivity) * np.exp(-beam.forward(attenuation))
    trues = weights * beam.forward(blurred)
    background = acquisition.background_fraction * float(trues.mean())
    standard = random.poisson(np.maximum(trues, 0.0) + background)
    low = random.binomial(standard, acquisition.count_fraction)
    return CountPair(
        _reconstruct(low, beam, weights, background, acquisition, acquisition.count_fraction),
        _reconstruct(standard, beam, weights, background, acquisition, 1.0),
    )


def _reconstruct(
    counts: NDArray[Any],
    beam: ParallelBeam,
    weights: NDArray[np.float32],
    background: float,
    acquisition: Acquisition,
    fraction: float,
) -> NDArray[np.float32]:
    return osem(
        counts,
        beam,
        weights=weights * np.float32(fraction),
        background=background * fraction,
        n_iterations=acquisition.n_iterations,
        n_subsets=acquisition.n_subsets,
    )


def _check_maps(activity: NDArray[Any], attenuation: NDArray[Any]) -> None:
    for values, name in ((activity, "activity"), (attenuation, "attenuation")):
        check_image(values, name)
        if values.min() < 0:
            raise RefusedInputError(f"{name} reaches {values.min():g}: pass values of 0 or more")
    if activity.shape != attenuation.shape:
        raise RefusedInputError(
            f"activity has shape {activity.shape}, but attenuation {attenuation.shape}: pass both on one grid"
        )
