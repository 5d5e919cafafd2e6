"""Elements that separate images at one place where the UIDs of their series do not."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

# Keyword -> word before the number in the name of a volume. Elements that number the volumes come first, then elements
# that may differ between volumes; times come last, since every slice of a volume may have its own.
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
# Those whose own number is in the name. For the others it is the rank, as a time of day may identify a patient.
NUMBERS: Final = frozenset({"TemporalPositionIdentifier", "AcquisitionNumber", "EchoNumbers"})
# Those that order images that were measured one after the other.
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
