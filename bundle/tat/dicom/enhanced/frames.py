"""The frames of an Enhanced object, each seen as the classic image that says the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from bundle.tat.dicom.enhanced.quantity import complete_pet

if TYPE_CHECKING:
    from pydicom import Dataset

# SOP classes whose frames are described by functional groups, and the class of a single slice of each, PS3.4 B.5.
CLASSIC_CLASSES: Final = MappingProxyType(
    {
        "1.2.840.10008.5.1.4.1.1.2.1": "1.2.840.10008.5.1.4.1.1.2",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.2.2": "1.2.840.10008.5.1.4.1.1.2",  # Legacy Converted Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4.1": "1.2.840.10008.5.1.4.1.1.4",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.4": "1.2.840.10008.5.1.4.1.1.4",  # Legacy Converted Enhanced MR
        "1.2.840.10008.5.1.4.1.1.130": "1.2.840.10008.5.1.4.1.1.128",  # Enhanced PET
        "1.2.840.10008.5.1.4.1.1.128.1": "1.2.840.10008.5.1.4.1.1.128",  # Legacy Converted Enhanced PET
    }
)
SHARED: Final = "SharedFunctionalGroupsSequence"
PER_FRAME: Final = "PerFrameFunctionalGroupsSequence"
# Functional groups whose one item holds attributes that a classic image has by itself, or that tell frames apart. What
# conversion could not assign comes first: the groups of the standard hold over it.
FLATTENED: Final = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
    "FrameContentSequence",
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
    "FrameAnatomySequence",
    "TemporalPositionSequence",
    "CardiacSynchronizationSequence",
    "CTImageFrameTypeSequence",
    "CTAcquisitionDetailsSequence",
    "CTExposureSequence",
    "CTReconstructionSequence",
    "CTXRayDetailsSequence",
    "MRImageFrameTypeSequence",
    "MRDiffusionSequence",
    "MREchoSequence",
    "MRTimingAndRelatedParametersSequence",
    "MRModifierSequence",
    "MRImagingModifierSequence",
    "PETFrameTypeSequence",
    "PETFrameCorrectionFactorsSequence",
)
# Kept as the sequence that it is: classic images have it too.
_KEPT: Final = ("RealWorldValueMappingSequence",)
# What belongs to the object as a whole.
_OF_THE_OBJECT: Final = frozenset(
    {
        "ConcatenationFrameOffsetNumber",
        "ConcatenationUID",
        "DimensionIndexSequence",
        "DimensionOrganizationSequence",
        "DimensionOrganizationType",
        "InConcatenationNumber",
        "InConcatenationTotalNumber",
        "NumberOfFrames",
        "PixelData",
        "SOPInstanceUIDOfConcatenationSource",
        SHARED,
        PER_FRAME,
    }
)


def has_frames(image: Dataset) -> bool:
    """Whether an object is of an Enhanced class, and describes each of its frames.

    Args:
        image: pydicom data set with its functional groups.
    """
    about_file: Dataset | None = getattr(image, "file_meta", None)
    kind = str(image.get("SOPClassUID") or (about_file or {}).get("MediaStorageSOPClassUID") or "")
    if kind not in CLASSIC_CLASSES or not image.get("Rows"):
        return False
    n_described = len(image.get(PER_FRAME) or ())
    return n_described > 0 and int(image.get("NumberOfFrames") or 1) == n_described


class FrameViews:
    """The frames of an object as classic images, made when they are asked for.

    A view has the attributes of the object and of the frame's functional groups, shared ones first, without their
    sequences. It has the object's SOP class and instance, and no pixels. Changing it leaves the object as it is.

    Args:
        image: Enhanced data set, see ``has_frames``.

    Source:
        DICOM PS3.3 C.7.6.16.
    """

    def __init__(self, image: Dataset) -> None:
        from pydicom.dataset import Dataset as View

        self._per_frame = image[PER_FRAME].value
        self._common = View()
        for element in _elements(image):
            if element.keyword not in _OF_THE_OBJECT:
                _put(element, self._common)
        for item in (image.get(SHARED) or ())[:1]:
            _flatten(item, self._common)

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._per_frame)

    def __getitem__(self, index: int) -> Dataset:
        """The view of a frame.

        Args:
            index: of the frame, from 0.
        """
        from pydicom.dataset import Dataset as View

        if not 0 <= index < len(self):
            raise IndexError(index)
        view = View()
        for element in self._common:
            _put(element, view)
        _flatten(self._per_frame[index], view)
        _name_classically(view)
        view.InstanceNumber = index + 1
        return view


def _elements(image: Dataset) -> Iterator[Any]:
    """The elements that can be decoded; what cannot is asked for by nobody here."""
    for tag in list(image.keys()):
        try:
            element = image[tag]
        except Exception:  # noqa: S112 - pydicom raises many kinds on values against the standard
            continue
        yield element


def _flatten(groups: Dataset, view: Dataset) -> None:
    """Put the attributes of functional groups into a view."""
    for name in FLATTENED:
        for item in (groups.get(name) or ())[:1]:
            for element in _elements(item):
                _put(element, view)
    for name in _KEPT:
        if name in groups:
            _put(groups[name], view)


def _put(element: Any, view: Dataset) -> None:
    """Add an element of its own: giving it another value must not change the object."""
    view[element.tag] = copy.copy(element)


def _name_classically(view: Dataset) -> None:
    """Give attributes that classic images know by other names those names."""
    if view.get("FrameType"):
        view.ImageType = list(view.FrameType)
    moment = str(view.get("FrameAcquisitionDateTime") or "")
    if not moment and not view.get("AcquisitionTime"):
        moment = str(view.get("AcquisitionDateTime") or "")
    if moment:
        view.AcquisitionDate, view.AcquisitionTime = moment[:8], moment[8:].split("+")[0].split("-")[0]
    for name, classic in (("FrameAcquisitionDuration", "ActualFrameDuration"), ("EffectiveEchoTime", "EchoTime")):
        if view.get(name) is not None and view.get(classic) is None:
            setattr(view, classic, view[name].value)
    if view.get("Modality") == "PT":
        complete_pet(view)
