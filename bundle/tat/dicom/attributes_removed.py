"""Elements that a derived image must not take over from its source."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Any, Final

from bundle.tat.dicom.private_elements import private_tags
from bundle.tat.dicom.suv.factor import ACTIVITY_SCALE_FACTOR, SUV_SCALE_FACTOR
from bundle.tat.dicom.suv.scan_start import GE_SCAN_TIME

if TYPE_CHECKING:
    from pydicom import Dataset

# Private elements without which the derived PET cannot be converted to SUV.
KEPT_PRIVATE: Final = (SUV_SCALE_FACTOR, ACTIVITY_SCALE_FACTOR, GE_SCAN_TIME)
# Elements that describe or certify the stored values of the source.
STALE_TAGS: Final = frozenset(
    {
        0x00080014,  # Instance Creator UID
        0x00280106,  # Smallest Image Pixel Value
        0x00280107,  # Largest Image Pixel Value
        0x00280108,  # Smallest Pixel Value in Series
        0x00280109,  # Largest Pixel Value in Series
        0x00287FE0,  # Pixel Data Provider URL
        0x00880200,  # Icon Image Sequence
        0x01000410,  # SOP Instance Status
        0x01000420,  # SOP Authorization DateTime
        0x01000424,  # SOP Authorization Comment
        0x01000426,  # Authorization Equipment Certification Number
        0x4FFE0001,  # MAC Parameters Sequence
        0x7FE00001,  # Extended Offset Table
        0x7FE00002,  # Extended Offset Table Lengths
        0x7FE00003,  # Encapsulated Pixel Data Value Total Length
        0xFFFAFFFA,  # Digital Signatures Sequence
        0xFFFCFFFC,  # Data Set Trailing Padding
    }
)
# Command and file elements, which have no place in a data set, are below this group.
_FIRST_GROUP: Final = 0x0008
# Groups 5000-50FF hold curves, 6000-60FF overlays: both are drawn on the image of the source.
_DRAWN_GROUPS: Final = (0x50, 0x60)


def remove_stale_attributes(image: Dataset) -> None:
    """Remove private elements, overlays, icons, signatures and what describes the source's pixels, at every depth.

    Private elements that the scale of PET depends on stay. Elements that stay are not decoded, so that a value that
    breaks a rule of the standard is kept as it is.

    Args:
        image: data set; changed in place.
    """
    _remove(image, set().union(*(private_tags(image, element) for element in KEPT_PRIVATE)))


def _remove(image: Dataset, kept: Set[int]) -> None:
    for tag in list(image.keys()):
        if tag not in kept and _is_stale(tag):
            del image[tag]
        elif (image.get_item(tag).VR or image[tag].VR) == "SQ":
            for item in image[tag].value:
                _remove(item, frozenset())


def _is_stale(tag: Any) -> bool:
    return bool(tag.is_private or tag in STALE_TAGS or tag.group < _FIRST_GROUP or tag.group >> 8 in _DRAWN_GROUPS)
