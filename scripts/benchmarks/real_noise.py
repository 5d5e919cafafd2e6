"""Noise, edges and CT numbers of restored real CT: a table in the pages.

No noise is added to these scans, and there are no clean scans of them. So noise is measured in flat tissue, sharpness
at the surfaces of body and lung, and CT numbers as means by tissue.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.measure import find_contours
from tqdm import tqdm

from bundle.tat.atomic import write_json
from bundle.tat.metrics.edges import edge_profile, rise_distance
from bundle.tat.metrics.regions import smoothed
from bundle.tat.modality import Modality
from bundle.tat.quality.measures import measure_slice, tissue_shifts
from scripts.benchmarks.documents import REAL_PAGES, fill, markdown
from scripts.benchmarks.pipeline import WEIGHTS, Pipeline, Volume
from scripts.data.parts import TEST
from scripts.data.real.make import read_scan
from scripts.data.real.scans import real_scans

# Scans of the test: those in public repositories, and one that a package ships, of which these slices are for the test.
PACKAGED: Final = {"lung1": slice(28, 44)}
N_SLICES: Final = 16
# Between air or lung and soft tissue.
SURFACE: Final = -500.0  # HU
MIN_LENGTH: Final = 60.0  # mm: vessels and airways are shorter
WIDTH: Final = 6.0  # mm, half of the region about a surface
HEAD: Final = (
    "CT as it is",
    "noise [HU]",
    "that goes",
    "rise of surfaces [mm]",
    "change at edges over flat tissue",
    "shift of lung, fat, soft tissue, bone [HU]",
)


@dataclass(frozen=True)
class RealNoise:
    """Changes of a scan by its restoration.

    Args:
        name: of the scan.
        noise: standard deviation in flat tissue before and after [HU].
        rise: a tenth to nine tenths of the surfaces of body and lung, before and after [mm].
        edge_ratio: root mean square of the change at strong edges over that in flat tissue.
        shifts: mean of restored minus input by tissue [HU].
    """

    name: str
    noise: tuple[float, float]
    rise: tuple[float, float]
    edge_ratio: float
    shifts: dict[str, float]


def distances_to_surface(image: NDArray[np.float32], sides: Sequence[float]) -> NDArray[np.float64]:
    """Signed distance of each pixel from the nearest long surface between air and tissue.

    Args:
        image: slice ``(W, H)`` [HU].
        sides: of a pixel [mm].

    Returns:
        Distances [mm], positive in tissue; infinite where a slice has no long surface.
    """
    smooth = smoothed(image, 1.0)
    lines = [line * sides for line in find_contours(smooth, SURFACE)]
    long = [line for line in lines if np.linalg.norm(np.diff(line, axis=0), axis=1).sum() >= MIN_LENGTH]
    if not long:
        return np.full(image.shape, np.inf)
    # Between two points of a contour lies at most a pixel: eight more points make the distance exact to a sixteenth.
    steps = np.linspace(0.0, 1.0, 8, endpoint=False)[:, None, None]
    points = np.concatenate([(line[:-1] + steps * np.diff(line, axis=0)).reshape(-1, 2) for line in long])
    places = np.moveaxis(np.indices(image.shape), 0, -1) * np.asarray(sides)
    distances, _ = cKDTree(points).query(places, distance_upper_bound=3 * WIDTH)
    signed: NDArray[np.float64] = np.where(smooth > SURFACE, distances, -distances)
    return signed


def measure(name: str, image: Volume, restored: Volume, sides: Sequence[float]) -> RealNoise:
    """Measure a scan before and after.

    Args:
        name: of the scan.
        image: slices along the last axis ``(W, H, D)`` [HU].
        restored: the same, restored.
        sides: of a pixel [mm].
    """
    found = [measure_slice(image[..., i], restored[..., i], Modality.CT) for i in range(image.shape[2])]
    slices = [one for one in found if one is not None]
    # Surfaces are looked for between both, so that neither's noise draws them.
    between = (image + restored) / 2
    distances = np.stack([distances_to_surface(between[..., i], sides) for i in range(image.shape[2])], axis=-1)
    rises = [rise_distance(edge_profile(distances, volume, WIDTH)) for volume in (image, restored)]
    return RealNoise(
        name,
        (fmean(one.noise_before for one in slices), fmean(one.noise_after for one in slices)),
        (rises[0], rises[1]),
        fmean(one.change_edges / one.change_flat for one in slices),
        tissue_shifts([(image[..., i], restored[..., i]) for i in range(image.shape[2])]),
    )


def run(names: Sequence[str], sources: Path, scans: Path, pipeline: Pipeline) -> Iterator[RealNoise]:
    """Restore and measure slices of each scan."""
    for name in tqdm(names, unit="scan"):
        volume = read_scan(name, sources, scans)
        values = volume.values[..., PACKAGED.get(name, slice(None))].clip(-1024.0, 3071.0)
        middle = (np.arange(N_SLICES) + 0.5) * values.shape[2] / N_SLICES
        image = values[..., np.unique(middle.astype(int))].astype(np.float32)
        sides = np.linalg.norm(volume.affine[:3, :2], axis=0)
        yield measure(name, image, pipeline.restore(image, volume.affine), sides)


def table(found: Sequence[RealNoise]) -> str:
    """A row for each scan."""
    rows = [
        [
            one.name.replace("_", " "),
            f"{one.noise[0]:.1f} to {one.noise[1]:.1f}",
            f"{1 - one.noise[1] / one.noise[0]:.0%}",
            f"{one.rise[0]:.2f} to {one.rise[1]:.2f} ({one.rise[1] / one.rise[0]:.2f})",
            f"{one.edge_ratio:.2f}",
            ", ".join(f"{shift:+.1f}" for shift in one.shifts.values()),
        ]
        for one in found
    ]
    return markdown(HEAD, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print the table, write it as JSON and into the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of make data-real (default: data)")
    parser.add_argument("--scans", type=Path, help="folder of the real scans (default: DATA/sources/scans)")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="default: models/model.pt")
    parser.add_argument("--table", type=Path, default=Path("eval/real_noise.json"), help="default: %(default)s")
    parser.add_argument("--page", type=Path, nargs="+", default=REAL_PAGES, help="pages with marks for the table")
    options = parser.parse_args(arguments)
    names = [scan.name for scan in real_scans().values() if scan.split == TEST and scan.modality is Modality.CT]
    scans = options.scans or options.data / "sources" / "scans"
    pipeline = Pipeline(Modality.CT, options.weights)
    found = list(run([*names, *PACKAGED], options.data / "sources", scans, pipeline))
    print(table(found))
    write_json(options.table, {"scans": [asdict(one) for one in found], **pipeline.provenance})
    fill(options.page, {"real_noise": table(found)})


if __name__ == "__main__":
    main()
