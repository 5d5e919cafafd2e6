"""Writing a restored volume as a DICOM series derived from its source: one new image for each source image."""

from __future__ import annotations

import io
import logging
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bundle.tat.dicom.attributes_removed import remove_stale_attributes
from bundle.tat.dicom.derivation import Derivation, describe
from bundle.tat.dicom.geometry import refine_plane
from bundle.tat.dicom.lossy import propagate_lossy_compression
from bundle.tat.dicom.open import read_dicom_header, read_image, refusing_damage
from bundle.tat.dicom.pixels import set_pixels, unit_factor
from bundle.tat.dicom.uids import SeriesIdentities, shared_uids
from bundle.tat.kspace.fourier_grid import FourierGrid
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset

logger = logging.getLogger(__name__)


class WrittenSeries(NamedTuple):
    """What a volume became.

    Args:
        n_clipped: values that were clipped to the range that the files can store.
        unit: of the files: ``HU`` for CT, Units (0054,1001) for PET, empty for others.
        unit_factors: for each slice what a value of the files is multiplied by to have that of the volume: the factor
            to SUV for PET, 1 for others.
    """

    n_clipped: int
    unit: str
    unit_factors: tuple[float, ...]

    def in_its_unit(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """The volume in the unit of the files.

        Args:
            volume: ``(columns, rows, slices)``, as ``write_series`` was given it.
        """
        if all(factor == 1.0 for factor in self.unit_factors):
            return volume
        factors = np.array(self.unit_factors, dtype=np.float32)
        in_unit: NDArray[np.float32] = volume / factors
        return in_unit


# pydicom 3 renamed the arguments that ask for a complete file.
_FIRST_WITH_NEW_NAMES: Final = 3


def keep_for_writing(image: Dataset) -> Dataset:
    """Reduce a source image to what its derived image takes over.

    Pixels, private elements and what describes the pixels go. What lossy compression the source went through is said.

    Args:
        image: whole data set of the source image; changed in place, its pixels are not decoded.

    Returns:
        The same data set, a few kilobytes.
    """
    propagate_lossy_compression(image)
    del image.PixelData
    image._pixel_array = None  # pydicom 2 goes on holding the decoded pixels
    remove_stale_attributes(image)
    return image


def read_sources(files: Iterable[Path]) -> Iterator[Dataset]:
    """Read source images one after the other, for volumes whose reader has not kept them.

    Args:
        files: of the slices, first slice first.

    Yields:
        What ``write_series`` takes.

    Raises:
        RefusedInputError: a file cannot be read.
    """
    files = list(files)
    headers = [read_dicom_header(file) for file in files]
    shared = shared_uids(header.instance_uid for header in headers if header is not None)
    for file in files:
        with refusing_damage(file):
            source = keep_for_writing(read_image(file))
            forget_shared_uid(source, shared)
        yield source


def forget_shared_uid(image: Dataset, shared: Collection[str]) -> None:
    """Take a SOP Instance UID (0008,0018) off an image if it identifies several, as anonymisation may leave it.

    Args:
        image: data set of a source image; changed in place.
        shared: such UIDs, see ``shared_uids``.
    """
    if image.get("SOPInstanceUID") in shared:
        image.SOPInstanceUID = ""


def write_series(
    volume: NDArray[np.floating],
    sources: Iterable[Dataset],
    folder: Path,
    *,
    provenance: Derivation,
    uid_seed: str | None = None,
    finer: tuple[FourierGrid, FourierGrid] | None = None,
) -> WrittenSeries:
    """Write one DICOM file for each source image, ``IM0001.dcm`` and so on in the order of the slices.

    The files are of their sources' SOP class, with the patient, study, frame of reference, geometry, windows and
    acquisition of their sources, and uncompressed (Explicit VR Little Endian).

    Args:
        volume: ``(columns, rows, slices)`` as ``read_series`` gives it: HU, SUV, or for other modalities what the
            source's rescale leads to.
        sources: data sets of the source images from ``keep_for_writing``, one for each slice, in the order of the
            slices; each is changed.
        folder: an existing folder.
        provenance: what made the volume.
        uid_seed: text that the new UIDs are computed from, with the sources' UIDs and the provenance; ``None`` draws
            new ones each time.
        finer: the grids of the volume's first and second axis, where they are finer than those of the sources.

    Returns:
        What it became.

    Raises:
        RefusedInputError: the volume has another shape than the sources, or a source is damaged or lacks what
            identifies it.
        OSError: a file cannot be written.

    Source:
        DICOM PS3.3 C.7.6.1.1 (derived images), C.12.1 (SOP common).
    """
    if volume.ndim != 3:
        raise RefusedInputError(f"a volume of shape {volume.shape} is no series: pass (columns, rows, slices)")
    now = datetime.now().astimezone()
    identities = SeriesIdentities(None if uid_seed is None else f"{uid_seed} {provenance.seed_text}")
    n_clipped = n_written = 0
    unit, unit_factors = "", []
    for image in sources:
        if n_written < volume.shape[2]:
            with refusing_damage(_path_of(image)):
                if finer is not None:
                    refine_plane(image, rows=finer[1], columns=finer[0])
                unit, factor = _unit(image), unit_factor(image)
                n_clipped += _derive(image, volume[:, :, n_written].T, factor, identities, provenance, now)
                unit_factors.append(factor)
                content = _encoded(image)
            (folder / f"IM{n_written + 1:04d}.dcm").write_bytes(content)
        n_written += 1
    if n_written != volume.shape[2]:
        raise RefusedInputError(f"a volume of shape {volume.shape} cannot be written over {n_written} source files")
    if n_clipped:
        logger.warning("%d of %d values were clipped to what the DICOM series can store", n_clipped, volume.size)
    return WrittenSeries(n_clipped, unit, tuple(unit_factors))


def _unit(image: Dataset) -> str:
    """The unit of an image, see ``WrittenSeries``."""
    units = {"CT": "HU", "PT": str(image.get("Units", ""))}
    return units.get(image.get("Modality", ""), "")


def _derive(
    image: Dataset,
    values: NDArray[np.floating],
    factor: float,
    identities: SeriesIdentities,
    provenance: Derivation,
    now: datetime,
) -> int:
    """Turn a source image into the derived one; returns how many values were clipped."""
    if (image.get("Rows"), image.get("Columns")) != values.shape:
        raise RefusedInputError(f"it is not of the volume's {values.shape[1]} columns and {values.shape[0]} rows")
    n_clipped = set_pixels(image, values, factor)
    identities.join(image)
    describe(image, identities.derive(image.get("SOPInstanceUID") or "", image.PixelData), provenance, now)
    return n_clipped


def _path_of(image: Dataset) -> Path:
    """The file that a data set was read from."""
    return Path(str(getattr(image, "filename", "an image of the series")))


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
