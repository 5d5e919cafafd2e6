"""The header of a DICOM image, and why the image cannot be restored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bundle.tat.dicom.enhanced.volumes import phase_of, volume_of
from bundle.tat.dicom.own_series import MODEL_NAME, SERIES_SUFFIX
from bundle.tat.dicom.sorting.image_kind import KIND_TAGS, not_a_slice
from bundle.tat.dicom.sorting.marks import MARKS, read_marks
from bundle.tat.modality import parse_modality
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset

# More pixels than a slice of any scanner; a header that claims more is damaged, or made to fill the memory.
MAX_SLICE_PIXELS: Final = 8192 * 8192
# Direction cosines are written with few decimals; beyond this their axes are not of length 1 or not at right angles.
ORTHONORMAL_TOLERANCE: Final = 1e-2
# The elements that are read; none of them names a patient.
HEADER_TAGS: Final = (
    "BitsAllocated",
    "Columns",
    "ContributingEquipmentSequence",
    "DimensionIndexSequence",
    "FrameOfReferenceUID",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "Modality",
    "ModalityLUTSequence",
    "NumberOfFrames",
    "PerFrameFunctionalGroupsSequence",
    "PhotometricInterpretation",
    "PixelRepresentation",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "SeriesDate",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesTime",
    "SharedFunctionalGroupsSequence",
    "SliceThickness",
    "StudyInstanceUID",
    "Units",
    *KIND_TAGS,
    *MARKS,
)


@dataclass(frozen=True)
class DicomHeader:
    """The header of an image, read before its pixels.

    Args:
        path: its file.
        kind: name of its SOP class (0008,0016), such as ``CT Image Storage``.
        instance_uid: SOP Instance UID (0008,0018).
        identity: study, series and frame of reference, (0020,000D), (0020,000E) and (0020,0052); empty if absent.
        series_number: (0020,0011); ``None`` if absent.
        modality: (0008,0060).
        rows: (0028,0010); 0 for an object without pixels.
        columns: (0028,0011).
        position: centre of the first pixel [mm, LPS], (0020,0032); empty if absent or not numbers.
        orientation: direction cosines of a row and of a column [LPS], (0020,0037); empty if absent or not numbers.
        spacing: distance of rows and of columns [mm], (0028,0030); empty if absent or not numbers.
        thickness: of the slice [mm], (0018,0050); 1 if absent or not positive.
        unit: what the unit of the pixels depends on: presence of the two rescale elements, and Units (0054,1001).
        not_an_image_reason: what the image is instead of a slice, see ``not_a_slice``; ``None`` if it is a slice.
        reason: why the image cannot be restored; ``None`` if the header gives no reason.
        stored_type: of the pixels, such as ``int16``.
        n_bytes: size of the file.
        digest: of the file, see ``sampled_digest``.
        marks: values of ``MARKS``.
        made: Series Date and Time (0008,0021), (0008,0031).
        frame: index of the frame in an Enhanced multi-frame object, from 0; ``None`` for a classic image.
        volume: of a frame, see ``volume_of``.
        phase: of a frame, see ``phase_of``.
    """

    path: Path
    kind: str
    instance_uid: str
    identity: tuple[str, str, str]
    series_number: int | None
    modality: str
    rows: int
    columns: int
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float
    unit: tuple[bool, bool, str]
    not_an_image_reason: str | None
    reason: str | None
    stored_type: str = ""
    n_bytes: int = 0
    digest: str = ""
    marks: tuple[str, ...] = ()
    made: tuple[str, str] = ("", "")
    frame: int | None = None
    volume: tuple[str, ...] = ()
    phase: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Its name in messages: that of its file, and the number of the frame, from 1."""
        return self.path.name if self.frame is None else f"frame {self.frame + 1} of {self.path.name}"

    @property
    def is_image(self) -> bool:
        """Whether the object has pixels. A DICOMDIR, a report and a contour set have none."""
        return self.rows > 0


def parse_header(path: Path, image: Dataset, *, n_bytes: int = 0, digest: str = "") -> DicomHeader:
    """Read the values of a data set, also of one with wrong or missing values.

    Args:
        path: its file.
        image: pydicom data set with ``HEADER_TAGS``, or more.
        n_bytes: size of the file.
        digest: of the file.
    """
    header = DicomHeader(
        path=path,
        kind=sop_class_name(image),
        instance_uid=instance_uid(image),
        identity=(
            _text(image, "StudyInstanceUID"),
            _text(image, "SeriesInstanceUID"),
            _text(image, "FrameOfReferenceUID"),
        ),
        series_number=_integer(image, "SeriesNumber"),
        modality=_text(image, "Modality"),
        rows=_integer(image, "Rows") or 0,
        columns=_integer(image, "Columns") or 0,
        position=_numbers(image, "ImagePositionPatient", 3),
        orientation=_numbers(image, "ImageOrientationPatient", 6),
        spacing=_numbers(image, "PixelSpacing", 2),
        thickness=next((value for value in _numbers(image, "SliceThickness", 1) if value > 0), 1.0),
        unit=("RescaleSlope" in image, "RescaleIntercept" in image, _text(image, "Units")),
        not_an_image_reason=not_a_slice(image, sop_class_name(image)),
        reason=None,
        stored_type=f"{'int' if _integer(image, 'PixelRepresentation') else 'uint'}{_integer(image, 'BitsAllocated')}",
        n_bytes=n_bytes,
        digest=digest,
        marks=read_marks(image),
        made=(_text(image, "SeriesDate"), _text(image, "SeriesTime")),
    )
    return replace(header, reason=next(_reasons_against(image, header), None))


def parse_frame(path: Path, view: Dataset, frame: int, pointers: tuple[int, ...], **of_file: Any) -> DicomHeader:
    """Read the values of one frame of an Enhanced object.

    Args:
        path: its file.
        view: the frame as a classic image, see ``FrameViews``.
        frame: its index, from 0.
        pointers: of the object, see ``dimension_pointers``.
        **of_file: as for ``parse_header``.
    """
    header = parse_header(path, view, **of_file)
    header = replace(header, frame=frame, volume=volume_of(view), phase=phase_of(view, pointers), reason=None)
    return replace(header, reason=next(_reasons_against(view, header), None))


def _reasons_against(image: Dataset, header: DicomHeader) -> Iterator[str]:
    """Why an image cannot be restored, the simplest reason first."""
    if not header.is_image:
        yield f"no pixels ({header.kind or 'unknown kind'})"
    if header.modality:  # where it is absent, the user may pass it
        try:
            parse_modality(header.modality)
        except RefusedInputError as error:
            yield str(error)
    yield from _reasons_of_kind(image, header)
    yield from _reasons_of_geometry(header)
    yield from _reasons_of_unit(image, header)


def _reasons_of_kind(image: Dataset, header: DicomHeader) -> Iterator[str]:
    """Images that are no measured grey slices."""
    if _is_restored(image):
        yield "already restored by TAT: pass the series that it was made from"
    if header.not_an_image_reason:
        yield header.not_an_image_reason
    frames = _integer(image, "NumberOfFrames")
    if header.frame is None and ("Enhanced" in header.kind or (frames or 1) != 1):
        yield (
            f"multi-frame ({frames or 'unknown number of'} frames) without functional groups of each frame: export it "
            "as Enhanced CT, MR or PET, or as one file for each slice"
        )
    colours = _text(image, "PhotometricInterpretation")
    if colours != "MONOCHROME2":
        yield f"{colours or 'unknown'} pixels: only MONOCHROME2 is restored"
    if not header.kind:
        yield (
            "no SOP Class UID (0008,0016), in the data set or in the file meta information: fill in that of its kind "
            "(CT: 1.2.840.10008.5.1.4.1.1.2)"
        )


def _reasons_of_geometry(header: DicomHeader) -> Iterator[str]:
    """Images without a geometry, and images that are too small or too large."""
    needed = {
        "ImagePositionPatient": header.position,
        "ImageOrientationPatient": header.orientation,
        "PixelSpacing": header.spacing,
    }
    missing = [name for name, values in needed.items() if not values]
    if missing:
        yield f"no {', '.join(missing)}: its geometry is unknown"
    if header.spacing and min(header.spacing) <= 0:
        yield f"PixelSpacing {header.spacing[0]:g} x {header.spacing[1]:g} mm: it must be positive"
    if header.orientation and not _is_orthonormal(header.orientation):
        yield "ImageOrientationPatient has axes that are not at right angles or not of length 1"
    if min(header.rows, header.columns) < 2:
        yield f"{header.rows} x {header.columns} pixels: at least 2 x 2 are needed"
    if header.rows * header.columns > MAX_SLICE_PIXELS:
        yield f"{header.rows} x {header.columns} pixels: a slice may have {MAX_SLICE_PIXELS} at most"


def _reasons_of_unit(image: Dataset, header: DicomHeader) -> Iterator[str]:
    """Images whose values have no known unit."""
    if "ModalityLUTSequence" in image:
        yield "its unit is given by a look-up table: only a linear rescale is supported"
    for name in ("RescaleSlope", "RescaleIntercept"):
        if name in image and image.get(name) is not None and not _numbers(image, name, 1):
            yield f"{name} is not a number: its unit is unknown"
    if _numbers(image, "RescaleSlope", 1) == (0.0,):
        yield "RescaleSlope 0: its values are lost"
    # Type 1 in PET, PS3.3 C.8.9.4: without it the values are no activities, also where Units names one.
    if header.modality == "PT" and not _numbers(image, "RescaleSlope", 1):
        yield "PET without RescaleSlope: its unit is unknown"


def _is_restored(image: Dataset) -> bool:
    """Whether this program wrote the image; the description remains where an archive drops the sequence."""
    made_by = (str(item.get("ManufacturerModelName", "")) for item in image.get("ContributingEquipmentSequence") or ())
    return MODEL_NAME in made_by or _text(image, "SeriesDescription").endswith(SERIES_SUFFIX)


def _is_orthonormal(orientation: tuple[float, ...]) -> bool:
    along_row, along_column = orientation[:3], orientation[3:]
    products = (
        math.hypot(*along_row) - 1,
        math.hypot(*along_column) - 1,
        sum(a * b for a, b in zip(along_row, along_column, strict=True)),
    )
    return max(abs(product) for product in products) <= ORTHONORMAL_TOLERANCE


def sop_class_name(image: Dataset) -> str:
    """Name of the SOP class, (0008,0016), or where it is empty, (0002,0002).

    Args:
        image: pydicom data set.

    Returns:
        Such as ``CT Image Storage``; the UID of a private class; empty if absent.
    """
    from pydicom.uid import UID

    return UID(_text(image, "SOPClassUID") or _about_file(image, "MediaStorageSOPClassUID")).name


def instance_uid(image: Dataset) -> str:
    """SOP Instance UID (0008,0018), or where it is empty, (0002,0003); empty if both are.

    Args:
        image: pydicom data set.
    """
    return _text(image, "SOPInstanceUID") or _about_file(image, "MediaStorageSOPInstanceUID")


def _about_file(image: Dataset, name: str) -> str:
    """An element of the file meta information, where a DICOMDIR has its class, and which anonymisation may miss."""
    meta: Dataset | None = getattr(image, "file_meta", None)
    return "" if meta is None else _text(meta, name)


def _values(value: object) -> tuple[Any, ...]:
    """The values of an element, one or several."""
    return (value,) if isinstance(value, (str, bytes)) or not isinstance(value, Iterable) else tuple(value)


def _text(image: Dataset, name: str) -> str:
    try:
        return str(image.get(name) or "").strip()
    except (ValueError, TypeError):
        return ""


def _integer(image: Dataset, name: str) -> int | None:
    values = _numbers(image, name, 1)
    return int(values[0]) if values else None


def _numbers(image: Dataset, name: str, n_values: int) -> tuple[float, ...]:
    """The values, if they are ``n_values`` finite numbers, or else none."""
    try:
        value = image.get(name)
        values = tuple(float(number) for number in _values(() if value is None else value))
    except (ValueError, TypeError):
        return ()
    return values if len(values) == n_values and all(math.isfinite(number) for number in values) else ()
