"""Writing a restored volume as a DICOM series derived from its source: one new image for each source image."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.dicom.attributes_removed import remove_stale_attributes
from bundle.tat.dicom.derivation import Derivation, describe
from bundle.tat.dicom.lossy import propagate_lossy_compression
from bundle.tat.dicom.pixels import set_pixels
from bundle.tat.dicom.uids import SeriesIdentities
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset

logger = logging.getLogger(__name__)

# pydicom 3 renamed the arguments that ask for a complete file.
_FIRST_WITH_NEW_NAMES: Final = 3


def write_series(
    volume: NDArray[np.floating],
    sources: Sequence[Path],
    folder: Path,
    *,
    provenance: Derivation,
    uid_seed: str | None = None,
) -> int:
    """Write one DICOM file for each source image, ``IM0001.dcm`` and so on in the order of the slices.

    The files are of their sources' SOP class, with the patient, study, frame of reference, geometry, windows and
    acquisition of their sources, and uncompressed (Explicit VR Little Endian). The pixels of the sources are not read,
    so sources may be compressed in any way.

    Args:
        volume: ``(columns, rows, slices)`` as ``DicomSeriesReader`` gives it: HU, SUV, or for other modalities what the
            source's rescale leads to.
        sources: the source's files, one for each slice, in the order of the slices.
        folder: an existing folder.
        provenance: what made the volume.
        uid_seed: text that the new UIDs are computed from, with the sources' UIDs and the provenance; ``None`` draws
            new ones each time.

    Returns:
        How many values were clipped to the range that the files can store.

    Raises:
        RefusedInputError: the volume has another shape than the sources, or a source cannot be read again or lacks what
            identifies it.
        OSError: a file cannot be written.

    Source:
        DICOM PS3.3 C.7.6.1.1 (derived images), C.12.1 (SOP common).
    """
    if volume.ndim != 3 or volume.shape[2] != len(sources) or not sources:
        raise RefusedInputError(f"a volume of shape {volume.shape} cannot be written over {len(sources)} source files")
    now = datetime.now().astimezone()
    identities = SeriesIdentities(None if uid_seed is None else f"{uid_seed} {provenance.seed_text}")
    n_clipped = 0
    with warnings.catch_warnings():
        # pydicom warns of values against the standard, in words that may quote a patient's; they stay as they are.
        warnings.simplefilter("ignore")
        for index, source in enumerate(sources):
            with _refusing_damage(source):
                image = _read_header(source, volume.shape[:2])
                n_clipped += set_pixels(image, volume[:, :, index].T)
                remove_stale_attributes(image)  # not before: private elements may tell the scale of PET
                describe(image, identities.derive(image.get("SOPInstanceUID", "")), provenance, now)
                content = _encoded(image)
            (folder / f"IM{index + 1:04d}.dcm").write_bytes(content)
    if n_clipped:
        logger.warning("%d of %d values were clipped to what the DICOM series can store", n_clipped, volume.size)
    return n_clipped


@contextlib.contextmanager
def _refusing_damage(source: Path) -> Iterator[None]:
    """Refuse a source that cannot be read or understood, whatever that raises.

    pydicom decodes a value when it is asked for, and raises many kinds; its words are left out, as they may quote one.
    """
    try:
        yield
    except RefusedInputError as error:
        raise RefusedInputError(f"{source}: {error}") from error
    except OSError as error:
        raise RefusedInputError(f"cannot read {source} again: {error.strerror or error}") from error
    except Exception as error:
        raise RefusedInputError(f"the header of {source} is damaged ({type(error).__name__}): repair it") from error


def _read_header(source: Path, shape: tuple[int, ...]) -> Dataset:
    """The source without its pixels."""
    import pydicom

    image = pydicom.dcmread(source, stop_before_pixels=True, force=True)
    if (image.get("Columns"), image.get("Rows")) != shape:
        raise RefusedInputError(f"it is not of the volume's {shape[0]} columns and {shape[1]} rows")
    propagate_lossy_compression(image, source)
    return image


def _encoded(image: Dataset) -> bytes:
    """A complete DICOM file, uncompressed."""
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.preamble = bytes(128)
    buffer = io.BytesIO()
    if int(pydicom.__version__.split(".")[0]) < _FIRST_WITH_NEW_NAMES:
        image.is_little_endian, image.is_implicit_VR = True, False
        pydicom.dcmwrite(buffer, image, write_like_original=False)
    else:
        pydicom.dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()
