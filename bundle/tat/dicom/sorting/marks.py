"""Elements by which images at one place are told apart where the UIDs of their series do not."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

# Keyword -> what the name of a volume has in front of a number. Numbers that say it outright stand before what differs
# by the way; times stand last, since every slice of a volume may have its own.
MARKS: Final = MappingProxyType(
    {
        "TemporalPositionIdentifier": "time",
        "AcquisitionNumber": "acquisition",
        "EchoNumbers": "echo",
        "EchoTime": "echo",
        "InversionTime": "inversion",
        "DiffusionBValue": "diffusion",
        "ConvolutionKernel": "kernel",
        "ReconstructionDiameter": "reconstruction",
        "SeriesDescription": "series",
        "ProtocolName": "protocol",
        "ImageType": "type",
        "FrameReferenceTime": "time",
        "TriggerTime": "time",
        "AcquisitionTime": "time",
        "ContentTime": "time",
    }
)
# Of them, those whose own number stands in the name; of others it is the rank, as a time of day may tell of a patient.
NUMBERS: Final = frozenset({"TemporalPositionIdentifier", "AcquisitionNumber", "EchoNumbers"})
# Of them, those that order what was measured one after the other.
TIMES: Final = ("FrameReferenceTime", "TriggerTime", "AcquisitionTime", "ContentTime")


def read_marks(image: Dataset) -> tuple[str, ...]:
    """The values of ``MARKS`` as text, empty where an element is missing.

    Args:
        image: pydicom data set.
    """
    return tuple(_text(image.get(keyword)) for keyword in MARKS)


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return str(value or "").strip()
    return "/".join(str(part) for part in value) if isinstance(value, Iterable) else str(value)
