"""Whether two DICOM files hold the same image, in the same or in different encodings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bundle.tat.dicom.enhanced.frames import has_frames
from bundle.tat.dicom.enhanced.pixels import open_frames
from bundle.tat.dicom.header import MAX_SLICE_PIXELS, DicomHeader
from bundle.tat.dicom.open import read_dicom_headers, read_image, refusing_damage
from bundle.tat.dicom.pixels import stored_pixels
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset

# Elements of the encoding: Derivation Description and Code, where lossless compressors add themselves; pixels, which
# are compared by themselves, and their offsets; padding of the file.
_OF_ENCODING: Final = (0x00082111, 0x00089215, 0x7FE00001, 0x7FE00002, 0x7FE00010, 0xFFFCFFFC)
# What values are filled up with to an even length, PS3.5 6.2.
_FILL: Final = b" \0"


def is_same_image(first: Path, second: Path) -> bool:
    """Whether two files hold the same image: the same stored values of pixels, and the same standard elements.

    Private elements are not compared: Implicit VR does not give their value representation, and archives leave them
    out. Nor is the derivation compared, where lossless compressors add themselves.

    Args:
        first: a DICOM image.
        second: another one.

    Raises:
        RefusedInputError: one of them is damaged, or no decoder reads its pixels.
    """
    headers = _checked(first), _checked(second)
    if len(headers[0]) != len(headers[1]):
        return False
    with refusing_damage(second):
        if not _have_same_elements(_without_pixels(first), _without_pixels(second)):
            return False
    pairs = zip(_frames(first, len(headers[0])), _frames(second, len(headers[1])), strict=True)
    return all(np.array_equal(stored_pixels(a, first), stored_pixels(b, second)) for a, b in pairs)


def _checked(path: Path) -> tuple[DicomHeader, ...]:
    """Headers of a file whose pixels may be decoded."""
    headers = read_dicom_headers(path)
    if not headers:
        raise RefusedInputError(f"{path} is no DICOM file: pass an image")
    if headers[0].rows * headers[0].columns > MAX_SLICE_PIXELS:
        size = f"{headers[0].rows} x {headers[0].columns}"
        raise RefusedInputError(
            f"{path} claims {size} pixels, {MAX_SLICE_PIXELS} at most are decoded: it is damaged; fetch it again"
        )
    return headers


def _without_pixels(path: Path) -> Dataset:
    import pydicom

    return pydicom.dcmread(path, stop_before_pixels=True, force=True)


def _frames(path: Path, n_frames: int) -> Iterator[Dataset]:
    """The image with its pixels, or each frame of an Enhanced object."""
    with ExitStack() as stack, refusing_damage(path):
        if not has_frames(_without_pixels(path)):
            yield read_image(path)
            return
        opened = stack.enter_context(open_frames(path))
        for index in range(n_frames):
            yield opened[index]


def _have_same_elements(first: Dataset, second: Dataset) -> bool:
    """Whether two data sets have the same standard elements with the same values."""
    tags = [
        {tag for tag in image.keys() if not tag.is_private and tag.element and tag not in _OF_ENCODING}  # noqa: SIM118
        for image in (first, second)
    ]
    return tags[0] == tags[1] and all(_is_same_element(first, second, tag) for tag in tags[0])


def _is_same_element(first: Dataset, second: Dataset, tag: int) -> bool:
    """Whether two data sets have the same value of an element."""
    from pydicom.filewriter import correct_ambiguous_vr_element

    as_stored = _stored_value(first, tag)
    if as_stored is not None and as_stored == _stored_value(second, tag):
        return True
    one, other = (correct_ambiguous_vr_element(image[tag], image, is_little_endian=True) for image in (first, second))
    items: tuple[Any, Any] = one.value, other.value
    if one.VR == other.VR == "SQ":
        return len(items[0]) == len(items[1]) and all(map(_have_same_elements, *items))
    return bool(items[0] == items[1])


def _stored_value(image: Dataset, tag: int) -> tuple[bytes, bool] | None:
    """A value as it is in the file, and whether its byte order is little endian; ``None`` where it is read already.

    So values that cannot be decoded can be compared too.
    """
    from pydicom.dataelem import RawDataElement

    element: object = image.get_item(tag)
    if not isinstance(element, RawDataElement) or element.value is None:
        return None
    return bytes(element.value).rstrip(_FILL), bool(element.is_little_endian)
