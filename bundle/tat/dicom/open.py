"""Opening one DICOM file safely: files that are not DICOM, damaged, a program or a deflate bomb are found."""

from __future__ import annotations

import contextlib
import os
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from bundle.tat.dicom.enhanced.frames import FrameViews, has_frames
from bundle.tat.dicom.enhanced.volumes import dimension_pointers
from bundle.tat.dicom.header import (
    HEADER_TAGS,
    MAX_SLICE_PIXELS,
    DicomHeader,
    instance_uid,
    parse_frame,
    parse_header,
    sop_class_name,
)
from bundle.tat.dicom.sorting.image_kind import PRIVATE_TAGS
from bundle.tat.file_digest import sampled_digest
from bundle.tat.formats import DICOM_SUFFIXES
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset

# A deflated file may not grow beyond the largest slice in 32 bits: a few kilobytes can inflate to gigabytes.
MAX_INFLATED_BYTES: Final = 4 * MAX_SLICE_PIXELS
# First bytes of programs of Windows, Linux and macOS. The 128 bytes before a DICOM header may hold anything, and so a
# file can be a program and an image at once (CVE-2019-11687).
PROGRAM_STARTS: Final = (b"MZ", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!")

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_INFLATE_STEP: Final = 1 << 20


def read_dicom_headers(path: Path) -> tuple[DicomHeader, ...]:
    """Read the elements before the pixels, opening the file once.

    Args:
        path: a file.

    Returns:
        The header, or that of each frame of an Enhanced object; nothing for a file that is not DICOM.

    Raises:
        RefusedInputError: the file is DICOM by its name or its first bytes, but is damaged, a program, or inflates
            beyond ``MAX_INFLATED_BYTES``.
    """
    with refusing_damage(path):
        with path.open("rb") as file:
            start = file.read(_PREAMBLE_BYTES + len(_MAGIC))
            if not _says_dicom(path, start):
                return ()
            if not start:
                raise RefusedInputError(f"{path} is empty (0 bytes): fetch it again")
            if start.startswith(PROGRAM_STARTS):
                raise RefusedInputError(f"{path} begins like a program: it is not read; check it for malware")
            digest = sampled_digest(file)
            image = _read_elements(path, file)
            n_bytes = os.fstat(file.fileno()).st_size
        kind = sop_class_name(image)
        if not kind and "Rows" not in image:
            raise RefusedInputError(f"{path} has the name of a DICOM file but is none: remove it or fetch it again")
        if "Image Storage" in kind and "Rows" not in image:
            raise RefusedInputError(f"{path} ends before its pixels: fetch it again")
        if has_frames(image):
            return _frame_headers(path, image, n_bytes, digest)
        return (parse_header(path, image, n_bytes=n_bytes, digest=digest),)


def read_dicom_header(path: Path) -> DicomHeader | None:
    """Read the header of a classic image, or of the first frame of an Enhanced object.

    Args:
        path: a file.

    Returns:
        The header; ``None`` for a file that is not DICOM.

    Raises:
        RefusedInputError: see ``read_dicom_headers``.
    """
    return next(iter(read_dicom_headers(path)), None)


def _frame_headers(path: Path, image: Dataset, n_bytes: int, digest: str) -> tuple[DicomHeader, ...]:
    """The header of each frame, with its share of the file's size and a digest of its own."""
    views, pointers = FrameViews(image), dimension_pointers(image)
    return tuple(
        parse_frame(path, view, frame, pointers, n_bytes=n_bytes // len(views), digest=f"{digest} {frame}")
        for frame, view in enumerate(views)
    )


def read_image(path: Path) -> Dataset:
    """Read a whole file whose header has been read and checked before.

    Args:
        path: a file.

    Returns:
        pydicom data set. SOP Class and Instance UID, where they are missing, are those of the file meta information.

    Raises:
        RefusedInputError: the file is damaged.
    """
    import pydicom

    with refusing_damage(path):
        image = pydicom.dcmread(path, force=True)
        if not image.get("SOPClassUID") and (found := image.file_meta.get("MediaStorageSOPClassUID")):
            image.SOPClassUID = found
        if not image.get("SOPInstanceUID") and (uid := instance_uid(image)):
            image.SOPInstanceUID = uid
        return image


def looks_like_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its name or its first bytes.

    Args:
        path: an existing file.
    """
    if _says_dicom(path, b""):
        return True
    with path.open("rb") as file:
        return _says_dicom(path, file.read(_PREAMBLE_BYTES + len(_MAGIC)))


def _says_dicom(path: Path, start: bytes) -> bool:
    """Whether a file with these first bytes is DICOM by its name or by them."""
    # Without the preamble any file could be read as DICOM, so the name must be that of a DICOM file.
    return path.suffix.lower() in DICOM_SUFFIXES or start[_PREAMBLE_BYTES:] == _MAGIC


def first_line(error: Exception) -> str:
    """The message of an error, for the end of a sentence.

    Args:
        error: of any kind.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextlib.contextmanager
def refusing_damage(path: Path) -> Iterator[None]:
    """Refuse a file in one sentence after any error of its reading.

    pydicom decodes a value at its first use, and raises many kinds of errors on damaged files. Its messages are left
    out of the sentence, as they may quote a patient's values.

    Args:
        path: the file.

    Raises:
        RefusedInputError: anything was raised inside; a refusal that does not name the file gets its path in front.
    """
    try:
        with warnings.catch_warnings():
            # pydicom warns of values against the standard, and may quote them; what matters is checked elsewhere.
            warnings.simplefilter("ignore")
            yield
    except RefusedInputError as error:
        if str(path) in str(error):
            raise
        raise RefusedInputError(f"{path}: {error}") from error
    except OSError as error:
        raise RefusedInputError(f"{path} cannot be read: {first_line(error)}") from error
    except Exception as error:
        raise RefusedInputError(
            f"{path} cannot be read as DICOM, it is damaged ({type(error).__name__}): repair it or fetch it again"
        ) from error


def _read_elements(path: Path, file: BinaryIO) -> Dataset:
    """The elements of ``HEADER_TAGS``, of a file whose size once inflated is within bounds."""
    import pydicom
    from pydicom.datadict import tag_for_keyword
    from pydicom.filereader import read_dataset, read_preamble
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    file.seek(0)
    read_preamble(file, force=True)
    # The group about the file itself stands before the others and is never compressed.
    meta = read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, *_: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        _check_inflated_size(path, file)
    file.seek(0)
    wanted = [*(tag_for_keyword(name) for name in HEADER_TAGS), *PRIVATE_TAGS]
    return pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=[tag for tag in wanted if tag])


def _check_inflated_size(path: Path, file: BinaryIO) -> None:
    """Refuse a deflate bomb without holding what it inflates to."""
    inflater, n_bytes = zlib.decompressobj(-zlib.MAX_WBITS), 0
    waiting = file.read(_INFLATE_STEP)
    while waiting:
        n_bytes += len(inflater.decompress(waiting, _INFLATE_STEP))
        if n_bytes > MAX_INFLATED_BYTES:
            bound = MAX_INFLATED_BYTES >> 20
            raise RefusedInputError(
                f"{path} inflates to more than {bound} MiB, {MAX_SLICE_PIXELS} pixels: it is not read; fetch it again"
            )
        waiting = inflater.unconsumed_tail or file.read(_INFLATE_STEP)
