"""Simulate PET on real anatomy: no package ships a real FDG scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bundle.tat.simulation import anatomy, pet, uptake
from scripts.data.parts import BRAIN_VOXEL, TORSO_VOXEL, Part
from scripts.data.read_sources import read_icbm152, read_nrrd
from scripts.data.volumes import Volume, resample

PET_SIDE = 128  # pixels of the usual size
LEAST_UPTAKE = 1.5  # SUV; a slice that never reaches it shows next to nothing


def make_pet(
    part: Part, sources: Path, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Simulate a PET scan on the anatomy of a part: low and standard counts, slices last, and the affine."""
    is_brain = part.subject == "icbm152"
    usual, scanner = (BRAIN_VOXEL, pet.BRAIN) if is_brain else (TORSO_VOXEL, pet.TORSO)
    voxel_size = part.pixel_size or usual
    side = round(PET_SIDE * usual / voxel_size)  # the same field of view
    # A bin is as wide and as thick as a voxel.
    sensitivity = scanner.sensitivity * (voxel_size / usual) ** 2
    activity, attenuation, affine = (_brain_maps if is_brain else _torso_maps)(part, sources, seed, voxel_size, side)
    pairs = [
        pet.acquire(
            activity[:, :, index],
            attenuation[:, :, index],
            pixel_size=voxel_size,
            seed=part.slice_seed(seed, index),
            acquisition=replace(scanner, sensitivity=sensitivity, count_fraction=part.count_fraction),
        )
        for index in range(activity.shape[2])
    ]
    low, full = (Volume(np.stack(slices, axis=2), affine).stack_along(part.axis) for slices in zip(*pairs, strict=True))
    kept = np.flatnonzero(full.values.max(axis=(0, 1)) >= LEAST_UPTAKE)
    first, last = kept[0] + part.first, kept[-1] + 1 if part.last is None else kept[0] + part.last
    shown = full.keep(first, last, part.step)
    return low.keep(first, last, part.step).values, shown.values, shown.affine


def _torso_maps(
    part: Part, sources: Path, seed: int, voxel_size: float, side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    scan, tumour = (
        resample(read_nrrd(sources, f"{part.subject}_{kind}").stretch(part.stretch), voxel_size, side)
        for kind in ("image", "label")
    )
    tissues = anatomy.label_torso(scan.values, voxel_size)
    activity = uptake.torso_uptake(
        tissues,
        tumour.values > 0.5,
        voxel_size=voxel_size,
        seed=part.slice_seed(seed, -1),
        n_made_up=part.n_made_up,
    )
    in_body = tissues != anatomy.Tissue.AIR
    return _blur_axially(activity, voxel_size), uptake.attenuation_from_ct(scan.values) * in_body, scan.affine


def _brain_maps(
    part: Part, sources: Path, seed: int, voxel_size: float, side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    gray, white = (
        resample(read_icbm152(sources, tissue).stretch(part.stretch), voxel_size, side) for tissue in ("gm", "wm")
    )
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(gray.values + white.values > 0.3, iterations=4))
    outside = ndimage.distance_transform_edt(~brain) * voxel_size
    head = outside < 16  # mm of fluid, skull and scalp, which the template does not show
    skull = (outside >= 4) & (outside < 10)
    activity = uptake.brain_uptake(
        gray.values, white.values, brain, head, voxel_size=voxel_size, seed=part.slice_seed(seed, -1)
    )
    attenuation = uptake.WATER_ATTENUATION * head + (uptake.BONE_ATTENUATION - uptake.WATER_ATTENUATION) * skull
    return _blur_axially(activity, voxel_size), attenuation.astype(np.float32), gray.affine


def _blur_axially(activity: NDArray[np.float32], voxel_size: float) -> NDArray[np.float32]:
    """Blur between slices, as ``pet.acquire`` does within slices for the scanner's resolution."""
    sigma = pet.TORSO.resolution / pet.FWHM_PER_SIGMA / voxel_size
    return ndimage.gaussian_filter1d(activity, sigma, axis=2, mode="nearest")
