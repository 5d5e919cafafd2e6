"""The volumes for a score or a picture: degraded, clean and restored, all on one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bundle.tat.data.datalist import read_datalist
from bundle.tat.formats import case_name, is_volume
from bundle.tat.modality import Modality, parse_modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.scale.mri_scale import MriScale, find_mri_factor, parse_mri_scale
from bundle.tat.volume_files.nifti_forms import AFFINE_TOLERANCE
from bundle.tat.volume_files.open import open_volume


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A scan with its restoration.

    Args:
        name: file name of the scan without its suffix.
        modality: of the scan.
        image: input volume ``(H, W, D)``, in the modality's unit, slices along the last axis.
        restored: restored volume ``(H, W, D)``, in the same unit.
        affine: voxel indices to right, anterior, superior [mm], ``(4, 4)``, the same for all volumes.
    """

    name: str
    modality: Modality
    image: NDArray[np.float32]
    restored: NDArray[np.float32]
    affine: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Case(Scan):
    """A scan with its restoration and its clean image.

    Args:
        label: clean volume ``(H, W, D)``, in the same unit.
        subject: name of the person in the datalist; ``None`` where the datalist has none.
    """

    label: NDArray[np.float32]
    subject: str | None = None


def read_cases(datalist: Path, section: str, restored_dir: Path, *, mri_scale: MriScale = "fixed") -> list[Case]:
    """Read every scan of a datalist's section, its clean image, and its restoration.

    Args:
        datalist: JSON file, ``{section: [{"image": ..., "label": ..., "modality": ...}]}``; paths are relative to it.
        section: section of the datalist, such as ``testing``.
        restored_dir: output folder of the inference; it holds ``<name>/<name>_restored.nii.gz`` for each image.
        mri_scale: as for ``find_mri_factor``; the volumes of a case are all multiplied by its factor.

    Returns:
        The cases, in the datalist's order.

    Raises:
        RefusedInputError: the section is missing or empty, or an entry lacks a key. A file is missing, of another
            format, not 3-D or not finite. The three volumes of a case differ in shape or affine. An MRI is on another
            scale than ``mri_scale`` accepts.
    """
    parse_mri_scale(mri_scale)
    entries = read_datalist(str(datalist), section)
    if not entries:
        raise RefusedInputError(f"section {section!r} of {datalist} is empty: name a section with 1 scan or more")
    return [_read_case(entry, restored_dir, mri_scale) for entry in entries]


def is_one_grid(
    volume: NDArray[np.float32],
    affine: NDArray[np.float64],
    other: NDArray[np.float32],
    other_affine: NDArray[np.float64],
) -> bool:
    """Whether two volumes can be compared voxel by voxel.

    Args:
        volume: intensities ``(H, W, D)``.
        affine: of its voxel indices [mm], ``(4, 4)``.
        other: intensities of the other volume ``(H, W, D)``.
        other_affine: affine of the other volume [mm], ``(4, 4)``.

    Returns:
        Whether shapes are equal, and affines are equal within ``AFFINE_TOLERANCE``.
    """
    return other.shape == volume.shape and np.allclose(other_affine, affine, rtol=0.0, atol=AFFINE_TOLERANCE)


def _read_case(entry: Mapping[str, Any], restored_dir: Path, mri_scale: MriScale) -> Case:
    missing = {"image", "label", "modality"} - entry.keys()
    if missing:
        raise RefusedInputError(f"entry {dict(entry)} lacks {sorted(missing)}: add it to the datalist")
    name = case_name(Path(entry["image"]))
    paths = {
        "image": Path(entry["image"]),
        "label": Path(entry["label"]),
        "restored": restored_dir / name / f"{name}_restored.nii.gz",
    }
    volumes = {role: _read_volume(path) for role, path in paths.items()}
    image, affine = volumes["image"]
    for role in ("label", "restored"):
        other, other_affine = volumes[role]
        if not is_one_grid(image, affine, other, other_affine):
            raise RefusedInputError(
                f"{paths[role]} (shape {other.shape}, affine {other_affine.tolist()}) is not on the grid of "
                f"{paths['image']} (shape {image.shape}, affine {affine.tolist()}), within {AFFINE_TOLERANCE} mm: "
                "score the image that was restored from this input, without resampling"
            )
    modality = parse_modality(entry["modality"])
    factor = _mri_factor(paths["image"], image, volumes["label"][0], mri_scale) if modality is Modality.MRI else 1.0
    arrays = {role: volume if factor == 1.0 else volume * np.float32(factor) for role, (volume, _) in volumes.items()}
    subject = str(entry["subject"]) if "subject" in entry else None
    return Case(name=name, modality=modality, affine=affine, subject=subject, **arrays)


def _mri_factor(path: Path, image: NDArray[np.float32], label: NDArray[np.float32], mri_scale: MriScale) -> float:
    """The factor of a pair, which the inference found on the degraded image."""
    try:
        return find_mri_factor([torch.from_numpy(volume) for volume in (image, label)], mri_scale)
    except RefusedInputError as error:
        raise RefusedInputError(f"{path}, or its label: {error}") from error


def _read_volume(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    if not path.is_file():
        raise RefusedInputError(f"{path} is missing: check the datalist, and run the inference first")
    if not is_volume(path):
        raise RefusedInputError(f"{path} has a format that cannot be scored: convert it to NIfTI")
    scan = open_volume(path)
    if len(scan.shape) != 3:
        raise RefusedInputError(f"{path} has {len(scan.shape)} axes, but a score needs 3: split it into volumes")
    volume = scan.values()
    if not np.isfinite(volume).all():
        raise RefusedInputError(
            f"{path} holds NaN or infinite values, but a score needs finite values: restore it again"
        )
    return volume, scan.affine
