"""Maps of plausible FDG uptake on real anatomy, since no public FDG scan may be shipped with code."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.optional import import_optional
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.anatomy import Tissue

WATER_ATTENUATION: Final = 0.0096  # 1/mm at 511 keV
BONE_ATTENUATION: Final = 0.0172  # 1/mm at 511 keV, cortical bone

# Usual mean standardised uptake values (SUV) one hour after injection.
TORSO_UPTAKE: Final = MappingProxyType(
    {
        Tissue.AIR: 0.0,
        Tissue.LUNG: 0.5,
        Tissue.FAT: 0.3,
        Tissue.MUSCLE: 0.75,
        Tissue.MARROW: 1.7,
        Tissue.BLOOD: 1.6,
        Tissue.MYOCARDIUM: 6.0,
        Tissue.LIVER: 2.4,
        Tissue.SPLEEN: 2.0,
        Tissue.KIDNEY: 3.2,
        Tissue.BOWEL: 1.9,
    }
)
LESION_UPTAKE: Final = (6.0, 9.5)
# Simulated lesions: from faint to very hot, from nodes to masses; one in three has a necrotic core.
MADE_UP_UPTAKE: Final = (2.0, 9.5)
MADE_UP_RADIUS: Final = (4.0, 18.0)  # mm
CORE_SHARE: Final = 1 / 3
CORE_RADIUS: Final = 0.6  # of the lesion's
CORE_UPTAKE: Final = 0.8
GRAY_MATTER_UPTAKE: Final = 8.5
WHITE_MATTER_UPTAKE: Final = 2.4
CEREBROSPINAL_UPTAKE: Final = 0.6


def torso_uptake(
    tissues: NDArray[np.uint8],
    lesions: NDArray[Any],
    *,
    voxel_size: float,
    seed: int,
    jitter: float = 0.25,
    texture: float = 0.12,
    n_made_up: int = 0,
) -> NDArray[np.float32]:
    """Give every tissue of a torso an uptake.

    Args:
        tissues: ``Tissue`` labels, shape ``(X, Y, Z)``.
        lesions: nonzero in a tumour, shape ``(X, Y, Z)``.
        voxel_size: side of a cubic voxel [mm].
        seed: of one realisation: uptake of each tissue, of the lesions, and texture.
        jitter: largest relative deviation of a tissue's uptake from the usual value, in [0, 1).
        texture: relative standard deviation of the smooth variation within tissues, in [0, 1).
        n_made_up: number of simulated ellipsoidal lesions at random places in the body, for hot spots of all sizes.

    Returns:
        Uptake, shape ``(X, Y, Z)`` [SUV].

    Raises:
        RefusedInputError: the shapes differ, or a parameter is outside its bounds.
    """
    _check(tissues, lesions, jitter, texture)
    if n_made_up < 0:
        raise RefusedInputError(f"n_made_up is {n_made_up}: pass 0 or more")
    random = np.random.default_rng(seed)
    levels = np.zeros(256)
    for tissue, uptake in TORSO_UPTAKE.items():
        levels[tissue] = uptake * random.uniform(1 - jitter, 1 + jitter)
    uptake_map = levels[tissues]
    uptake_map[lesions != 0] = random.uniform(*LESION_UPTAKE)
    variation = _texture(tissues.shape, voxel_size, texture, random)
    if n_made_up:
        in_body = tissues != Tissue.AIR
        places = np.moveaxis(np.indices(tissues.shape), 0, -1)
        for centre in random.permutation(places[in_body])[:n_made_up]:
            _make_lesion_up(uptake_map, in_body, (places - centre) * voxel_size, random)
    return (uptake_map * variation).astype(np.float32)


def brain_uptake(
    gray: NDArray[Any],
    white: NDArray[Any],
    brain: NDArray[np.bool_],
    head: NDArray[np.bool_],
    *,
    voxel_size: float,
    seed: int,
    jitter: float = 0.25,
    texture: float = 0.12,
) -> NDArray[np.float32]:
    """Compute the uptake of a head from tissue fractions.

    Args:
        gray: fraction of gray matter in a voxel, shape ``(X, Y, Z)``, in [0, 1].
        white: fraction of white matter, shape ``(X, Y, Z)``, in [0, 1]; the rest of ``brain`` is cerebrospinal fluid.
        brain: true within the skull, shape ``(X, Y, Z)``.
        head: true within the skin, shape ``(X, Y, Z)``; outside the brain it has the uptake of muscle.
        voxel_size: side of a cubic voxel [mm].
        seed: of one realisation.
        jitter: largest relative deviation of a tissue's uptake from the usual value, in [0, 1).
        texture: relative standard deviation of the smooth variation within tissues, in [0, 1).

    Returns:
        Uptake, shape ``(X, Y, Z)`` [SUV].

    Raises:
        RefusedInputError: the shapes differ, a fraction is outside [0, 1], or a parameter is outside its bounds.
    """
    _check(gray, white, jitter, texture)
    if min(gray.min(), white.min()) < 0 or max(gray.max(), white.max()) > 1:
        raise RefusedInputError("a tissue fraction is outside [0, 1]: divide the maps by their maximum")
    random = np.random.default_rng(seed)
    levels = np.array([GRAY_MATTER_UPTAKE, WHITE_MATTER_UPTAKE, CEREBROSPINAL_UPTAKE, TORSO_UPTAKE[Tissue.MUSCLE]])
    levels *= random.uniform(1 - jitter, 1 + jitter, levels.size)
    fluid = np.clip(1.0 - gray - white, 0.0, 1.0) * brain
    scalp = head & ~brain
    uptake_map = levels[0] * gray + levels[1] * white + levels[2] * fluid + levels[3] * scalp
    mixed: NDArray[np.float32] = (uptake_map * _texture(gray.shape, voxel_size, texture, random)).astype(np.float32)
    return mixed


def attenuation_from_ct(hounsfield: NDArray[Any]) -> NDArray[np.float32]:
    """Convert a CT to linear attenuation at 511 keV.

    Args:
        hounsfield: any shape [HU].

    Returns:
        Attenuation, same shape [1/mm]. Above water the slope is that of bone. Its extra attenuation at the energies of
        a CT is mostly photoelectric, which does not occur at 511 keV.

    Source:
        Bilinear scaling: Carney et al. 2006, doi:10.1118/1.2174132.
    """
    soft = WATER_ATTENUATION * (1.0 + hounsfield / 1000.0)
    bone = WATER_ATTENUATION + (BONE_ATTENUATION - WATER_ATTENUATION) * hounsfield / 1500.0
    attenuation: NDArray[np.float32] = np.maximum(0.0, np.where(hounsfield > 0, bone, soft)).astype(np.float32)
    return attenuation


def _make_lesion_up(
    uptake_map: NDArray[np.float64],
    in_body: NDArray[np.bool_],
    offset: NDArray[np.float64],
    random: np.random.Generator,
) -> None:
    """Put an ellipsoid into the map, given the offset of every voxel from its centre [mm]."""
    radii = random.uniform(*MADE_UP_RADIUS) * random.uniform(0.7, 1.3, 3)
    distance = np.linalg.norm(offset / radii, axis=-1)
    uptake_map[in_body & (distance <= 1)] = random.uniform(*MADE_UP_UPTAKE)
    if random.random() < CORE_SHARE:
        uptake_map[in_body & (distance <= CORE_RADIUS)] = CORE_UPTAKE


def _texture(
    shape: tuple[int, ...], voxel_size: float, amplitude: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Smooth multiplicative noise of mean 1, with a correlation of about two centimetres."""
    smooth = import_optional("scipy.ndimage").gaussian_filter(
        random.standard_normal(shape), 8.0 / voxel_size, mode="wrap"
    )
    noise: NDArray[np.float64] = np.maximum(0.0, 1.0 + amplitude * smooth / max(float(smooth.std()), 1e-12))
    return noise


def _check(first: NDArray[Any], second: NDArray[Any], jitter: float, texture: float) -> None:
    if first.shape != second.shape:
        raise RefusedInputError(f"the maps have shapes {first.shape} and {second.shape}: pass maps on one grid")
    for value, name in ((jitter, "jitter"), (texture, "texture")):
        if not 0.0 <= value < 1.0:
            raise RefusedInputError(f"{name} is {value}: pass a value in [0, 1)")
