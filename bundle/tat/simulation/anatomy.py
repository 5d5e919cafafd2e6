"""Tissues of a torso, found in a CT by density and position, to give each a plausible uptake."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.tat.optional import import_optional
from bundle.tat.refusal import RefusedInputError

Mask = NDArray[np.bool_]


class Tissue(IntEnum):
    """Label of a voxel."""

    AIR = 0
    LUNG = 1
    FAT = 2
    MUSCLE = 3
    MARROW = 4
    BLOOD = 5
    MYOCARDIUM = 6
    LIVER = 7
    SPLEEN = 8
    KIDNEY = 9
    BOWEL = 10


@dataclass(frozen=True)
class _Spine:
    """Voxel coordinates of the vertebral bodies' centre."""

    left: float
    posterior: float


def label_torso(hounsfield: NDArray[Any], voxel_size: float) -> NDArray[np.uint8]:
    """Label the tissues of a chest or upper abdomen by rules of thumb.

    Organs are separated by their position relative to the lungs and the spine, without a trained segmentation. Borders
    between touching organs are approximate. The result is for simulation, not for measurement.

    Args:
        hounsfield: CT, shape ``(X, Y, Z)`` [HU]; X runs to the patient's left, Y to the back, Z to the head. The voxel
            side should be 2 to 4 mm.
        voxel_size: side of a cubic voxel [mm].

    Returns:
        A ``Tissue`` value per voxel, shape ``(X, Y, Z)``.

    Raises:
        RefusedInputError: the volume has another number of axes, or shows no lung or no bone.
    """
    if hounsfield.ndim != 3:
        raise RefusedInputError(f"CT has shape {hounsfield.shape}: pass a volume of shape (X, Y, Z)")
    ndimage = import_optional("scipy.ndimage")

    body = _body(hounsfield, voxel_size)
    air = body & (hounsfield < -500)
    lung = _components_above(air, 4e5 / voxel_size**3)
    if not lung.any():
        raise RefusedInputError("no lung is in this CT: pass a volume that shows the chest")
    bone = ndimage.binary_closing(body & (hounsfield > 180), iterations=2)
    if not bone.any():
        raise RefusedInputError("no bone is in this CT: pass a volume in Hounsfield units that shows the spine")
    soft = body & (hounsfield > -20) & ~bone
    tissues = np.full(hounsfield.shape, Tissue.AIR, dtype=np.uint8)
    tissues[body] = Tissue.FAT
    tissues[soft] = Tissue.MUSCLE
    tissues[bone] = Tissue.MARROW
    tissues[air & ~lung] = Tissue.AIR
    tissues[lung] = Tissue.LUNG
    spine = _find_spine(bone, voxel_size)
    abdomen = _abdomen(soft, lung, voxel_size)
    _label_abdomen(tissues, abdomen, _dome(lung), spine, voxel_size)
    _label_chest(tissues, soft & ~abdomen & _hull(lung), voxel_size)
    return tissues


def _body(hounsfield: NDArray[Any], voxel_size: float) -> Mask:
    """Keep the largest dense object, without the table, and fill its holes in each axial slice."""
    ndimage = import_optional("scipy.ndimage")

    dense = ndimage.binary_opening(hounsfield > -400, iterations=max(1, round(4 / voxel_size)))
    labels, n_objects = ndimage.label(dense)
    if not n_objects:
        return np.zeros(hounsfield.shape, dtype=bool)
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    filled = [ndimage.binary_fill_holes(largest[:, :, index]) for index in range(largest.shape[2])]
    return np.stack(filled, axis=2).astype(bool)


def _components_above(mask: Mask, n_voxels: float) -> Mask:
    ndimage = import_optional("scipy.ndimage")

    labels, _ = ndimage.label(mask)
    large = np.bincount(labels.ravel()) >= n_voxels
    large[0] = False
    kept: Mask = large[labels]
    return kept


def _find_spine(bone: Mask, voxel_size: float) -> _Spine:
    """Average the bone that survives an erosion and lies in the middle third: the vertebral bodies."""
    ndimage = import_optional("scipy.ndimage")

    thick = ndimage.binary_erosion(bone, iterations=max(1, round(6 / voxel_size)))
    columns = np.argwhere(bone)
    middle = (columns[:, 0].min() + columns[:, 0].max()) / 2
    points = np.argwhere(thick)
    points = points[np.abs(points[:, 0] - middle) < 30 / voxel_size]
    points = points if len(points) else columns
    return _Spine(float(np.median(points[:, 0])), float(np.median(points[:, 1])))


def _hull(mask: Mask) -> Mask:
    """Fill the convex hull of each axial slice, approximated in 36 directions."""
    x, y = np.indices(mask.shape[:2])
    hull = np.ones(mask.shape, dtype=bool)
    for angle in np.arange(36) * (np.pi / 36):
        position = (x * np.cos(angle) + y * np.sin(angle))[:, :, None]
        hull &= (position >= np.where(mask, position, np.inf).min(axis=(0, 1))) & (
            position <= np.where(mask, position, -np.inf).max(axis=(0, 1))
        )
    return hull


def _dome(lung: Mask) -> int:
    """Find the axial index of the diaphragm's top, below which the lungs have less than half of their cross-section."""
    area = lung.sum(axis=(0, 1))
    return int(np.argmax(area > 0.5 * area.max()))


def _abdomen(soft: Mask, lung: Mask, voxel_size: float) -> Mask:
    """Soft tissue below the diaphragm, without the abdominal wall."""
    ndimage = import_optional("scipy.ndimage")

    under_lung = ~np.maximum.accumulate(lung, axis=2)
    under_lung[:, :, _dome(lung) :] = False
    disk = ndimage.generate_binary_structure(2, 1)[:, :, None]
    within: Mask = ndimage.binary_erosion(_hull(soft), disk, iterations=max(1, round(12 / voxel_size)))
    return soft & within & under_lung


def _label_chest(tissues: NDArray[np.uint8], soft: Mask, voxel_size: float) -> None:
    """Label the soft tissue of the chest as blood pool, and in the heart the wall of a left ventricle of usual size."""
    ndimage = import_optional("scipy.ndimage")

    tissues[soft] = Tissue.BLOOD
    depth = ndimage.distance_transform_edt(soft)
    if depth.max() < 15 / voxel_size:  # too thin to be a heart
        return
    centre = np.argwhere(depth > 0.8 * depth.max()).mean(axis=0) + np.array([18, -6, -9]) / voxel_size
    offset = (np.moveaxis(np.indices(tissues.shape), 0, -1) - centre) * voxel_size
    axis = np.array([0.62, -0.55, -0.56])  # the long axis points to the left, the front and the feet
    along = offset @ axis
    radius = np.sqrt(np.maximum((offset**2).sum(axis=-1) - along**2, 0.0))
    outer = (radius / 34) ** 2 + (along / 45) ** 2 < 1
    inner = ((radius / 23) ** 2 + (along / 36) ** 2 < 1) | (along < -24)  # open at the base, where the valves are
    tissues[outer & ~inner & soft] = Tissue.MYOCARDIUM


def _label_abdomen(tissues: NDArray[np.uint8], soft: Mask, dome: int, spine: _Spine, voxel_size: float) -> None:
    """Label the soft tissue of the abdomen by its offset from the spine and from the diaphragm's top [mm]."""
    x, y, z = np.ogrid[tuple(slice(size) for size in tissues.shape)]
    to_left, to_back = (x - spine.left) * voxel_size, (y - spine.posterior) * voxel_size
    down = (dome - z) * voxel_size
    beside_spine = (np.abs(to_left) < 25) & (to_back > -20) | (to_back > 20)
    liver = (to_left < -15) | (to_left < 60 - 0.6 * down) & (to_back < -45)
    spleen = (to_left > 50) & (to_back > -60) & (down < 55)
    kidney = ((np.abs(to_left) - 50) ** 2 + (to_back + 5) ** 2 < 35**2) & (down >= 45)
    for place, tissue in (
        (down > -np.inf, Tissue.BOWEL),
        (liver, Tissue.LIVER),
        (spleen, Tissue.SPLEEN),
        (kidney, Tissue.KIDNEY),
        (beside_spine, Tissue.MUSCLE),
    ):
        tissues[soft & place] = tissue
