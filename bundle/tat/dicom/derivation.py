"""The description of a derived image: its source, what was done, by which program and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bundle.tat.dicom.own_series import MODEL_NAME, SERIES_SUFFIX
from bundle.tat.dicom.uids import Identity
from bundle.tat.provenance import Provenance

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER: Final = "Maintainers of TAT medical image restoration"
# A restored series gets its source's number plus this, so that most listings show it after the scanner's own series.
SERIES_NUMBER_OFFSET: Final = 1000
# Lengths of the value representations IS, LO and ST, PS3.5 6.2.
_LARGEST_INTEGER: Final = 2**31 - 1
_N_LONG_STRING: Final = 64
_N_SHORT_TEXT: Final = 1024

# Code value, coding scheme, meaning. No code of DICOM's CID 7203 says that a network restored the image; a scheme whose
# name starts with 99 is a private one.
_RESTORATION: Final = ("RESTORATION", "99TAT", "Restoration by a neural network")
_SOURCE_OF_PROCESSING: Final = ("121322", "DCM", "Source image for image processing operation")
_PROCESSING_EQUIPMENT: Final = ("109102", "DCM", "Processing Equipment")

# Image Type value 3 where the source has none: PS3.3 C.8.2.1.1.1 and C.8.3.1.1.1 demand one.
_DEFAULT_THIRD_TYPES: Final = MappingProxyType({"CT": "AXIAL", "MR": "OTHER"})


@dataclass(frozen=True)
class Derivation(Provenance):
    """What made a derived series, and how.

    Args:
        description: what was done, for Derivation Description (0008,2111).
        verdict: whether the series may be used, for the same element; empty where nothing was measured.
    """

    description: str
    verdict: str = ""

    @property
    def seed_text(self) -> str:
        """The text that the UIDs of a seed are computed from: a change here gives every restored series other UIDs."""
        made_by = f"weights_sha256={self.weights_sha256!r}, version={self.version!r}"
        return f"Provenance({made_by}, description={self.description!r})"


def describe(image: Dataset, identity: Identity, provenance: Derivation, now: datetime) -> None:
    """Make an image a derived one, except for its pixels.

    Args:
        image: data set of the source image; changed in place.
        identity: its new UIDs.
        provenance: what made it.
        now: when, with a time zone.
    """
    _refer_to_source(image)
    image.SOPInstanceUID, image.SeriesInstanceUID = identity.instance_uid, identity.series_uid
    image.SeriesNumber = _series_number(image)
    image.SeriesDescription = _joined(_text(image, "SeriesDescription"), " ", SERIES_SUFFIX, _N_LONG_STRING)
    image.ImageType = _image_type(image)
    _say_what_was_done(image, provenance)
    _add_equipment(image, provenance, now)
    _set_times(image, now.astimezone(_time_zone(image)))
    if image.get("PatientOrientationCodeSequence"):
        image.pop("PatientPosition", None)  # one of the two, PS3.3 C.7.3.1


def _refer_to_source(image: Dataset) -> None:
    """Name the source image, whose UID the image still has. A source without its own UID cannot be referred to."""
    from pydicom.dataset import Dataset as Item
    from pydicom.sequence import Sequence

    if not image.get("SOPInstanceUID"):
        image.pop("SourceImageSequence", None)
        return
    source = Item()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    source.SpatialLocationsPreserved = "YES"
    source.PurposeOfReferenceCodeSequence = Sequence([_code(*_SOURCE_OF_PROCESSING)])
    image.SourceImageSequence = Sequence([source])


def _image_type(image: Dataset) -> list[str]:
    """Image Type (0008,0008): derived; PET knows no secondary images, PS3.3 C.8.9.4.1.1."""
    values = image.get("ImageType") or []
    values = [values] if isinstance(values, str) else list(values)
    modality = str(image.get("Modality", ""))
    if len(values) < 3 and modality in _DEFAULT_THIRD_TYPES:
        values = ["", "", _DEFAULT_THIRD_TYPES[modality]]
    return ["DERIVED", "PRIMARY" if modality == "PT" else "SECONDARY", *values[2:]]


def _series_number(image: Dataset) -> int:
    """Series Number (0020,0011), from that of the source, which may be missing or no number."""
    try:
        number = int(image.get("SeriesNumber") or 0)
    except (TypeError, ValueError):
        number = 0
    return min(number + SERIES_NUMBER_OFFSET, _LARGEST_INTEGER)


def _say_what_was_done(image: Dataset, provenance: Derivation) -> None:
    """Add a step to the derivation, after those that the source had."""
    from pydicom.sequence import Sequence

    before = _text(image, "DerivationDescription")
    verdict = f"; quality verdict: {provenance.verdict}" if provenance.verdict else ""
    image.DerivationDescription = _joined(before, "; ", f"{provenance.description}{verdict}", _N_SHORT_TEXT)
    steps = list(image.get("DerivationCodeSequence") or [])
    image.DerivationCodeSequence = Sequence([*steps, _code(*_RESTORATION)])


def _add_equipment(image: Dataset, provenance: Provenance, now: datetime) -> None:
    """Add this program to the equipment that the source names."""
    from pydicom.dataset import Dataset as Item
    from pydicom.sequence import Sequence

    item = Item()
    item.PurposeOfReferenceCodeSequence = Sequence([_code(*_PROCESSING_EQUIPMENT)])
    item.Manufacturer, item.ManufacturerModelName = MANUFACTURER, MODEL_NAME
    item.SoftwareVersions = provenance.version
    item.ContributionDateTime = now.strftime("%Y%m%d%H%M%S.%f%z")
    item.ContributionDescription = f"Image restoration, weights SHA-256 {provenance.weights_sha256 or 'not known'}"
    image.ContributingEquipmentSequence = Sequence([*(image.get("ContributingEquipmentSequence") or []), item])


def _set_times(image: Dataset, now: datetime) -> None:
    """Set when the image was made. Acquisition and series keep their times: PET's decay correction needs them."""
    image.InstanceCreationDate = image.ContentDate = now.strftime("%Y%m%d")
    image.InstanceCreationTime = image.ContentTime = now.strftime("%H%M%S.%f")


def _time_zone(image: Dataset) -> tzinfo | None:
    """The zone of the image's times, Timezone Offset From UTC (0008,0201); ``None`` is this machine's."""
    try:
        return datetime.strptime(str(image.TimezoneOffsetFromUTC), "%z").tzinfo
    except (AttributeError, ValueError):
        return None


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    from pydicom.dataset import Dataset as Item

    code = Item()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _text(image: Dataset, keyword: str) -> str:
    """A text element in one line; several values are put one after the other."""
    value = image.get(keyword) or ""
    return value if isinstance(value, str) else " ".join(str(part) for part in value)


def _joined(before: str, separator: str, added: str, n_characters: int) -> str:
    """Two texts in ``n_characters`` at most: the first one is cut, the added one is not."""
    if not before:
        return added[:n_characters]
    n_before = n_characters - len(separator) - len(added)
    return f"{before[:n_before].rstrip()}{separator}{added}" if n_before > 0 else added[:n_characters]
