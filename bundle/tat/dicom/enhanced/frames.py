"""The frames of an Enhanced object, each as a classic image with the same values."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from bundle.tat.dicom.enhanced.quantity import complete_pet, set_date_and_time, set_new

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
# Functional groups whose one item holds attributes that a classic image has itself, or that distinguish frames.
# Attributes that a conversion could not assign come first, so that the groups of the standard replace them.
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
    "MRFOVGeometrySequence",
    "MRModifierSequence",
    "MRImagingModifierSequence",
    "PETFrameTypeSequence",
    "PETFrameCorrectionFactorsSequence",
)
# Kept as the sequence that it is: classic images have it too.
_KEPT: Final = "RealWorldValueMappingSequence"
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
    if str(image.get("SOPClassUID") or "") not in CLASSIC_CLASSES or not image.get("Rows"):
        return False
    n_described = len(image.get(PER_FRAME) or ())
    return n_described > 0 and int(image.get("NumberOfFrames") or 1) == n_described


class FrameViews:
    """The frames of an object as classic images, made at their use.

    A view has the attributes of the object and of the frame's functional groups, shared ones first, without their
    sequences. It has the object's SOP class and instance, and no pixels. It must not be changed: its elements are those
    of the object.

    Args:
        image: Enhanced data set, see ``has_frames``.

    Source:
        DICOM PS3.3 C.7.6.16.
    """

    def __init__(self, image: Dataset) -> None:
        self._per_frame = image[PER_FRAME].value
        self._common = {tag: element for tag, element in _elements(image) if element.keyword not in _OF_THE_OBJECT}
        for item in (image.get(SHARED) or ())[:1]:
            _flatten(item, self._common)

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._per_frame)

    def __iter__(self) -> Iterator[Dataset]:
        """The views of all frames."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Dataset:
        """The view of a frame.

        Args:
            index: of the frame, from 0.
        """
        from pydicom.dataset import Dataset as View

        elements = dict(self._common)
        _flatten(self._per_frame[index], elements)
        view = View(elements)
        _name_classically(view)
        set_new(view, "InstanceNumber", index + 1)
        return view

    def own(self, index: int) -> Dataset:
        """The view of a frame with copied elements, whose values may be changed.

        Args:
            index: of the frame, from 0.
        """
        from pydicom.dataset import Dataset as View

        return View({element.tag: copy.copy(element) for element in self[index]})


def _elements(image: Dataset) -> Iterator[tuple[Any, Any]]:
    """The elements that can be decoded; the others are not used here."""
    for tag in list(image.keys()):
        try:
            element = image[tag]
        except Exception:  # noqa: S112 - pydicom raises many kinds on values against the standard
            continue
        yield tag, element


def _flatten(groups: Dataset, elements: dict[Any, Any]) -> None:
    """Put the attributes of functional groups among those of a view."""
    *flattened, kept = _group_tags()
    for tag in flattened:
        if tag in groups:
            for item in (groups[tag].value or ())[:1]:
                elements.update(_elements(item))
    if kept in groups:
        elements[kept] = groups[kept]


@cache
def _group_tags() -> tuple[Any, ...]:
    """Tags of the groups: looking them up by name takes longer than all other steps."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import Tag

    return tuple(Tag(tag_for_keyword(name) or 0) for name in (*FLATTENED, _KEPT))


def _name_classically(view: Dataset) -> None:
    """Give attributes the names that classic images have for them."""
    if view.get("FrameType"):
        set_new(view, "ImageType", list(view.FrameType))
    moment = str(view.get("FrameAcquisitionDateTime") or "")
    if not moment and not view.get("AcquisitionTime"):
        moment = str(view.get("AcquisitionDateTime") or "")
    if moment:
        set_date_and_time(view, "Acquisition", moment)
    echo, duration = view.get("EffectiveEchoTime"), view.get("FrameAcquisitionDuration")
    if echo is not None and view.get("EchoTime") is None:
        set_new(view, "EchoTime", echo)
    if duration is not None and view.get("ActualFrameDuration") is None:
        set_new(view, "ActualFrameDuration", round(float(duration)))  # whole milliseconds in classic images
    if view.get("AcquisitionMatrix") is None:
        _take_matrix(view)
    if view.get("Modality") == "PT":
        complete_pet(view)


def _take_matrix(view: Dataset) -> None:
    """Acquisition Matrix (0018,1310) from the steps of encoding, PS3.3 C.8.13.5.3 and C.8.3.1."""
    frequency = view.get("MRAcquisitionFrequencyEncodingSteps")
    phase, along = view.get("MRAcquisitionPhaseEncodingStepsInPlane"), view.get("InPlanePhaseEncodingDirection")
    matrix = {"ROW": [0, frequency, phase, 0], "COLUMN": [frequency, 0, 0, phase]}.get(str(along))
    if frequency and phase and matrix:
        set_new(view, "AcquisitionMatrix", matrix)
