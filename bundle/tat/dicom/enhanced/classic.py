"""A frame of an Enhanced object as a separate classic image, complete for its kind."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from bundle.tat.dicom.enhanced.frames import CLASSIC_CLASSES

if TYPE_CHECKING:
    from pydicom import Dataset

# Attributes of frames and of Enhanced objects that classic images do not have.
_ENHANCED_ONLY: Final = (
    "AcquisitionDateTime",
    "ConversionSourceAttributesSequence",
    "DimensionIndexValues",
    "EffectiveEchoTime",
    "FrameAcquisitionDateTime",
    "FrameAcquisitionDuration",
    "FrameAcquisitionNumber",
    "FrameReferenceDateTime",
    "FrameType",
    "InStackPositionNumber",
    "StackID",
    "TemporalPositionIndex",
    "TemporalPositionTimeOffset",
)
# Attributes that may be empty, but must be there, PS3.3 C.8.2.1, C.8.3.1, C.8.9 and the modules that all share.
_EMPTY: Final = MappingProxyType(
    {
        "CT": ("KVP", "AcquisitionNumber"),
        "MR": ("ScanOptions", "EchoTime", "EchoTrainLength", "MRAcquisitionType", "RepetitionTime"),
        "PT": ("CollimatorType", "CorrectedImage", "RadiopharmaceuticalInformationSequence"),
    }
)
_ORIENTATION_CODES: Final = ("PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence")
_ECHOES: Final = MappingProxyType({"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]})
_N_TYPES: Final = MappingProxyType({"PT": 2})


def refer_to_frame(image: Dataset, frame: int) -> None:
    """Name the frame of the source that a classic image is derived from.

    Args:
        image: derived data set, see ``describe``; changed in place.
        frame: index of the frame, from 0.
    """
    image.SourceImageSequence[0].ReferencedFrameNumber = frame + 1


def classic_slice(image: Dataset, index: int, n_slices: int) -> Dataset:
    """Make the view of a frame an image of its classic SOP class.

    Args:
        image: view of a frame with its pixels, see ``FrameViews``; changed in place.
        index: of the slice in its volume, from 0.
        n_slices: of the volume.

    Returns:
        The same data set. Values that the source does not have are empty where the standard allows it.

    Source:
        DICOM PS3.3 C.8.2.1 (CT), C.8.3.1 (MR), C.8.9 (PET).
    """
    modality = str(image.get("Modality", ""))
    image.SOPClassUID = CLASSIC_CLASSES[str(image.SOPClassUID)]
    image.InstanceNumber = index + 1
    if modality == "MR":
        _complete_mr(image)
    if modality == "PT":
        _complete_pet(image, n_slices)
    for name in _EMPTY.get(modality, ()):
        if name not in image:
            setattr(image, name, None)
    image.ImageType = _image_type(image, modality)
    for name in _ENHANCED_ONLY:
        image.pop(name, None)
    return image


def _image_type(image: Dataset, modality: str) -> list[str]:
    """Image Type (0008,0008). Value 3 of an Enhanced frame has another meaning in classic CT, and PET has none."""
    types = list(image.ImageType)
    if modality == "CT":
        types[2:3] = ["AXIAL"]
    return types[: _N_TYPES.get(modality)]


def _complete_mr(image: Dataset) -> None:
    """Scanning Sequence (0018,0020) and Sequence Variant (0018,0021) from the elements of Enhanced MR."""
    if not image.get("ScanningSequence"):
        sequence = list(_ECHOES.get(str(image.get("EchoPulseSequence", "")), []))
        sequence += ["IR"] if image.get("InversionRecovery") == "YES" else []
        sequence += ["EP"] if image.get("EchoPlanarPulseSequence") == "YES" else []
        image.ScanningSequence = sequence or ["RM"]
    if not image.get("SequenceVariant"):
        variant = {
            "SK": image.get("SegmentedKSpaceTraversal") in ("PARTIAL", "FULL"),
            "MTC": image.get("MagnetizationTransfer") not in (None, "", "NONE"),
            "SS": image.get("SteadyStatePulseSequence") not in (None, "", "NONE"),
            "SP": image.get("Spoiling") not in (None, "", "NONE"),
        }
        image.SequenceVariant = [name for name, holds in variant.items() if holds] or ["NONE"]


def _complete_pet(image: Dataset, n_slices: int) -> None:
    """Elements that every classic PET image has about its series and its frame's time."""
    values: dict[str, Any] = {"SeriesType": ["STATIC", "IMAGE"], "CountsSource": "EMISSION"}
    values |= {"NumberOfSlices": n_slices, "ImageIndex": image.InstanceNumber}
    for name, value in values.items():
        if not image.get(name):
            setattr(image, name, value)
    if image.get("FrameReferenceTime") is None:
        image.FrameReferenceTime = _frame_reference_time(image)
    for name in _ORIENTATION_CODES:
        if name not in image and "PatientPosition" not in image:
            setattr(image, name, None)


def _frame_reference_time(image: Dataset) -> float:
    """Time [ms] from the start of the series to that which the values of the frame refer to; 0 if it is not known."""
    moment = str(image.get("FrameReferenceDateTime") or "")
    start = f"{image.get('SeriesDate', '')}{image.get('SeriesTime', '')}"
    try:
        apart = _parse(moment) - _parse(start)
    except ValueError:
        return 0.0
    return max(0.0, apart.total_seconds() * 1000)


def _parse(text: str) -> datetime:
    form = "%Y%m%d%H%M%S.%f" if "." in text else "%Y%m%d%H%M%S"
    return datetime.strptime(text.split("+")[0].split("-")[0], form)
