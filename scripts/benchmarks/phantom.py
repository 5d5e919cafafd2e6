"""A CT phantom with known edges: write it in full and quarter dose, or measure its edges after a restoration.

A water cylinder of 200 mm holds discs of several contrasts. The script writes a datalist and pairs of volumes, whose
slices differ only by their noise. After a restoration it measures each disc over all slices: the rise of its edge from
a tenth to nine tenths, and its remaining contrast. All of it is simulated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from scipy import ndimage

from bundle.tat.atomic import write_json
from bundle.tat.evaluation.cases import read_cases
from bundle.tat.metrics.edges import edge_profile, rise_distance
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.ct import reduce_dose
from scripts.data.volumes import write_nifti

SIDE: Final = 256
PIXEL: Final = 0.9  # mm
N_SLICES: Final = 10
BLUR: Final = 0.6  # standard deviation of the routine scan's own blur [pixels]
EDGE_WIDTH: Final = 6.0  # mm on either side that an edge is measured over


class Disc(NamedTuple):
    """A disc: its centre relative to the phantom's (right, down) and radius [mm], and its contrast to water [HU]."""

    x: float
    y: float
    radius: float
    contrast: float


DISCS: Final = (Disc(-45, 0, 18, 100), Disc(45, 0, 18, 50), Disc(0, 45, 18, -100), Disc(0, -45, 18, 500))


def distance_to(disc: Disc) -> np.ndarray:
    """Signed distance of every pixel from a disc's edge [mm], negative inside."""
    place = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL
    return np.hypot(place[:, None] - disc.x, place[None] - disc.y) - disc.radius


def draw_phantom() -> np.ndarray:
    """The phantom as a routine scan shows it, without noise [HU]."""
    image = np.where(distance_to(Disc(0, 0, 100, 0)) < 0, 0.0, -1000.0)
    for disc in DISCS:
        image[distance_to(disc) < 0] = disc.contrast
    return ndimage.gaussian_filter(image, BLUR).astype(np.float32)


def write_phantom(out: Path, seed: int) -> None:
    """Write the pair and its datalist."""
    clean = draw_phantom()
    low = np.stack([reduce_dose(clean, PIXEL, seed=seed + index) for index in range(N_SLICES)], axis=-1)
    affine = np.diag([PIXEL, PIXEL, 5.0, 1.0])
    for kind, volume in (("low", low), ("full", np.repeat(clean[..., None], N_SLICES, axis=-1))):
        write_nifti(out / f"ct_phantom_{kind}.nii.gz", volume, affine)
    pair = {"image": "ct_phantom_low.nii.gz", "label": "ct_phantom_full.nii.gz", "modality": "CT", "n_slices": N_SLICES}
    write_json(out / "datalist.json", {"testing": [pair]})


def measure(volume: np.ndarray, disc: Disc) -> dict[str, float]:
    """Contrast [HU] and rise [mm] of a disc, from all slices at once."""
    distances = np.repeat(distance_to(disc)[..., None], volume.shape[2], axis=-1)
    inside, outside = distances < -EDGE_WIDTH, (distances > EDGE_WIDTH) & (distances < 2 * EDGE_WIDTH)
    contrast = float(volume[inside].mean() - volume[outside].mean())
    edge = edge_profile(distances.ravel(), volume.ravel(), EDGE_WIDTH)
    return {"contrast": contrast, "rise": rise_distance(edge)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, and write or measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the phantom")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (default: %(default)s)")
    parser.add_argument("--restored", type=Path, help="output folder of the inference: measure it instead of writing")
    parser.add_argument("--table", type=Path, help="with --restored: JSON file to write the measures to")
    options = parser.parse_args(arguments)
    if options.restored is None:
        write_phantom(options.out, options.seed)
        return
    try:
        (case,) = read_cases(options.out / "datalist.json", "testing", options.restored)
    except RefusedInputError as error:
        sys.exit(str(error))
    volumes = {"clean": case.label, "input": case.image, "restored": case.restored}
    measured = {
        f"{disc.contrast:g}": {name: measure(volume, disc) for name, volume in volumes.items()} for disc in DISCS
    }
    if options.table:
        write_json(options.table, measured)
    print(f"{'disc':>8}  {'clean':>18}  {'low dose':>18}  {'restored':>18}")
    for contrast, found in measured.items():
        cells = "  ".join(f"{it['contrast']:8.1f} HU{it['rise']:5.2f} mm" for it in found.values())
        print(f"{contrast:>5} HU  {cells}")


if __name__ == "__main__":
    main()
