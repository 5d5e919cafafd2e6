"""Sharpness and ringing of a restored MRI phantom like that of the American College of Radiology.

The phantom is a cylinder of 190 mm in a field of view of 250 mm, drawn far finer than its pixels and averaged.

- It holds a dark disc, whose edge is measured along its whole circumference.
- It holds rows of bright holes, with gaps as wide as the holes, and discs of low contrast.

Parts of its k-space are kept, with a little noise, and the restored phantom is measured. All of it is simulated.

Source: American College of Radiology, Large and Medium Phantom Test Guidance for the ACR MRI Accreditation Program.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bundle.tat.atomic import write_json
from bundle.tat.evaluation.baseline_filters import bicubic
from bundle.tat.metrics.edges import edge_profile, mtf50, overshoot, rise_distance
from bundle.tat.simulation.mri import KSpaceCoverage, acquire
from scripts.benchmarks.mri.pipeline import MriPipeline
from scripts.benchmarks.pipeline import WEIGHTS

Slice = NDArray[np.float32]

SIDE: Final = 256
FIELD_OF_VIEW: Final = 250.0  # mm
PIXEL: Final = FIELD_OF_VIEW / SIDE
OVERSAMPLING: Final = 8
RADIUS: Final = 95.0  # mm, of the cylinder
WATER: Final = 800.0
N_SLICES: Final = 6
NOISE: Final = 0.005  # of either part, as a share of the brightest pixel
EDGE_WIDTH: Final = 12.0  # mm on either side that the edge is measured over
N_BINS: Final = 80
PARTS: Final = (0.25, 0.33, 0.5, 0.67)
# Cubic convolution that reproduces parabolas.
CUBIC_PARAMETER: Final = -0.5


class Disc(NamedTuple):
    """A disc: its centre relative to the phantom's (right, down), its radius [mm], and its intensity over water's."""

    x: float
    y: float
    radius: float
    relative: float


class Holes(NamedTuple):
    """Rows of bright holes in a dark block: the first hole's centre, and the diameter of all [mm]."""

    x: float
    y: float
    diameter: float

    @property
    def centres(self) -> NDArray[np.float64]:
        """Centres of 4 x 4 holes, two diameters apart: ``(16, 2)`` [mm]."""
        steps = 2.0 * self.diameter * np.arange(4)
        return np.stack(np.meshgrid(self.x + steps, self.y + steps, indexing="ij"), axis=-1).reshape(-1, 2)

    @property
    def gaps(self) -> NDArray[np.float64]:
        """Centres of the gaps between neighbours, along either axis: ``(24, 2)`` [mm]."""
        grid = self.centres.reshape(4, 4, 2)
        between = [(grid[1:] + grid[:-1]) / 2, (grid[:, 1:] + grid[:, :-1]) / 2]
        return np.concatenate([each.reshape(-1, 2) for each in between])


EDGE: Final = Disc(0.0, 30.0, 30.0, 0.3)
HOLES: Final = (
    Holes(-62, -48, 4.0),
    Holes(-22, -48, 3.0),
    Holes(12, -48, 2.0),
    Holes(38, -48, 1.5),
    Holes(58, -48, 1.1),
)
DARK: Final = 0.05  # of water, between the holes
# Of two contrasts, with diameters of 12, 8, 5 and 3 mm.
FAINT: Final = tuple(
    Disc(side * 58.0, y, diameter / 2, 1.0 + contrast)
    for side, contrast in ((-1, 0.05), (1, 0.025))
    for y, diameter in ((52.0, 12.0), (34.0, 8.0), (20.0, 5.0), (10.0, 3.0))
)


def places(n_pixels: int) -> NDArray[np.float64]:
    """Positions of pixels along an axis, from the centre [mm]."""
    return (np.arange(n_pixels) - (n_pixels - 1) / 2) * FIELD_OF_VIEW / n_pixels


def distance_to(disc: Disc, n_pixels: int = SIDE) -> NDArray[np.float64]:
    """Signed distance of every pixel from a disc's edge [mm], negative inside."""
    place = places(n_pixels)
    return np.hypot(place[:, None] - disc.x, place[None] - disc.y) - disc.radius


def draw_phantom() -> Slice:
    """The phantom as its pixels would average it, without noise."""
    n_fine = SIDE * OVERSAMPLING
    place = places(n_fine)
    image = np.where(distance_to(Disc(0, 0, RADIUS, 1.0), n_fine) < 0, WATER, 0.0)
    for disc in (EDGE, *FAINT):
        image[distance_to(disc, n_fine) < 0] = WATER * disc.relative
    for holes in HOLES:
        low, high = -1.5 * holes.diameter, 7.5 * holes.diameter
        block = np.outer(
            (place > holes.x + low) & (place < holes.x + high), (place > holes.y + low) & (place < holes.y + high)
        )
        image[block] = WATER * DARK
        for x, y in holes.centres:
            image[distance_to(Disc(x, y, holes.diameter / 2, 1.0), n_fine) < 0] = WATER
    averaged = image.reshape(SIDE, OVERSAMPLING, SIDE, OVERSAMPLING).mean(axis=(1, 3))
    return averaged.astype(np.float32)


def measure(volume: NDArray[np.float32]) -> dict[str, Any]:
    """Measure the edge, the holes and the faint discs over all slices ``(W, H, D)``.

    Returns:
        ``rise`` [mm], ``mtf50`` [1/mm], and ``overshoot`` as a share of the edge's height. Contrast of ``holes`` (by
        diameter) and of ``faint`` discs (by contrast and diameter), as a share of the drawn contrast.
    """
    distances = np.repeat(distance_to(EDGE)[..., None], volume.shape[2], axis=-1)
    edge = edge_profile(distances.ravel(), volume.ravel(), EDGE_WIDTH, n_bins=N_BINS)
    mean = volume.mean(axis=2)
    return {
        "rise": rise_distance(edge),
        "mtf50": mtf50(edge),
        "overshoot": overshoot(edge),
        "holes": {f"{holes.diameter:g}": _contrast_of_holes(mean, holes) for holes in HOLES},
        "faint": {_name(disc): _contrast_of_disc(mean, disc) for disc in FAINT},
    }


def _name(disc: Disc) -> str:
    return f"{100 * (disc.relative - 1):g} %, {2 * disc.radius:g} mm"


def _contrast_of_holes(image: Slice, holes: Holes) -> float:
    def mean_at(points: NDArray[np.float64]) -> float:
        indices = points / PIXEL + (SIDE - 1) / 2
        return float(ndimage.map_coordinates(image, indices.T, order=1).mean())

    return (mean_at(holes.centres) - mean_at(holes.gaps)) / (WATER * (1.0 - DARK))


def _contrast_of_disc(image: Slice, disc: Disc) -> float:
    distance = distance_to(disc)
    inside = distance < -0.4 * disc.radius
    around = (distance > 0.5 * disc.radius) & (distance < 0.5 * disc.radius + 2.0)
    return float(image[inside].mean() - image[around].mean()) / (WATER * (disc.relative - 1.0))


def volumes_of(part: float, pipeline: MriPipeline) -> dict[str, NDArray[np.float32]]:
    """The phantom with a part of each k-space axis kept, by method ``(W, H, D)``; slices differ in their noise."""
    clean = draw_phantom()
    coverage = KSpaceCoverage(kept=(part, part), noise=NOISE)
    low = np.stack([acquire(clean, seed=index, coverage=coverage) for index in range(N_SLICES)], axis=2)
    affine = np.diag([PIXEL, PIXEL, 5.0, 1.0])
    return {
        "zero_filled": low,
        "bicubic": bicubic(low, CUBIC_PARAMETER, n_kept=coverage.n_kept((SIDE, SIDE))),
        "restored": pipeline.restore(low, affine),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="default: %(default)s")
    parser.add_argument("--table", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    logging.getLogger("bundle.tat").setLevel(logging.ERROR)  # every part would warn of its resolution
    pipeline = MriPipeline(options.weights)
    parts = {}
    for part in PARTS:
        volumes = volumes_of(part, pipeline)
        measured = {name: measure(volume) for name, volume in volumes.items()}
        parts[f"{part:g}"] = {"refused": pipeline.refusal(volumes["zero_filled"]), **measured}
        for name, found in measured.items():
            print(
                f"{part:g} {name}: rise {found['rise']:.2f} mm, overshoot {100 * found['overshoot']:.1f} %", flush=True
            )
    clean = measure(draw_phantom()[..., None])
    write_json(options.table, {**pipeline.provenance, "clean": clean, "parts": parts})


if __name__ == "__main__":
    main()
