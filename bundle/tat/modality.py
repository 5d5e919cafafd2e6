"""What each modality's intensities mean: the only home of ranges, units and evaluation windows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from bundle.tat.refusal import RefusedInputError


class Modality(str, Enum):
    """An imaging modality that TAT restores, and the task that goes with it."""

    CT = "CT"  # denoising: low dose -> full dose
    MRI = "MRI"  # super-resolution: x4 k-space truncation -> full k-space
    PET = "PET"  # synthesis: low count -> standard count


@dataclass(frozen=True)
class IntensityRange:
    """An interval of intensities in a physical unit.

    Args:
        low: lower bound, in ``unit``.
        high: upper bound, in ``unit``.
        unit: name of the unit, as it is shown to a reader.
    """

    low: float
    high: float
    unit: str

    @property
    def width(self) -> float:
        """Distance between the bounds, in ``unit``."""
        return self.high - self.low


# Training ranges of the paper: what [0, 1] means to the network.
INTENSITY_RANGES: Final = MappingProxyType(
    {
        Modality.CT: IntensityRange(-1024.0, 3072.0, "HU"),
        Modality.MRI: IntensityRange(0.0, 4095.0, "a.u."),
        Modality.PET: IntensityRange(0.0, 20.0, "SUV"),
    }
)

# Windows that the paper scores in: soft tissue for CT, the whole range for the others.
EVALUATION_WINDOWS: Final = MappingProxyType(
    {
        **INTENSITY_RANGES,
        Modality.CT: IntensityRange(-160.0, 240.0, "HU"),
    }
)

# Magnetic resonance images have no unit. A volume is brought to the network's scale by putting this percentile of its
# foreground (voxels above the volume's mean) on this intensity, the range that the paper's tables imply.
MRI_FOREGROUND_PERCENTILE: Final = 99.5
MRI_FOREGROUND_INTENSITY: Final = 1200.0

# Defined terms of Modality (0008,0060), PS3.3 C.7.3.1.1.1, and the names that people use for them.
_SYNONYMS: Final = MappingProxyType(
    {
        "CT": Modality.CT,
        "MR": Modality.MRI,
        "MRI": Modality.MRI,
        "PT": Modality.PET,
        "PET": Modality.PET,
    }
)


def parse_modality(text: str) -> Modality:
    """Read a modality from a DICOM Modality value or the user's text.

    Args:
        text: ``CT``, ``MR``, ``MRI``, ``PT`` or ``PET``, in any case.

    Returns:
        The modality.

    Raises:
        RefusedInputError: the text names none of the three.
    """
    try:
        return _SYNONYMS[text.strip().upper()]
    except KeyError:
        names = ", ".join(modality.value for modality in Modality)
        raise RefusedInputError(f"modality {text!r} is not one that TAT restores: {names}") from None
