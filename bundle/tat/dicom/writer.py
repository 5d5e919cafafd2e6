"""Writing a restored volume as a DICOM series derived from its source: one new file for each source file."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from bundle.tat.dicom.attributes_removed import remove_stale_attributes
from bundle.tat.dicom.complete_file import write_complete
from bundle.tat.dicom.derivation import Derivation, describe
from bundle.tat.dicom.enhanced.classic import classic_slice, refer_to_frame
from bundle.tat.dicom.enhanced.derived import derive_object, derived_type, refer_to_frames, write_object
from bundle.tat.dicom.enhanced.frames import FrameViews
from bundle.tat.dicom.enhanced.source import EnhancedSource
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

# What a derived series is written from: the data set of a classic image, or an Enhanced object.
Source: TypeAlias = Union["Dataset", EnhancedSource]
# What the files of a derived series are: of their sources' kind, or slices of the classic kind.
KINDS: Final = ("source", "classic")


class WrittenSeries(NamedTuple):
    """A series that was written.

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


def keep_for_writing(image: Dataset) -> Dataset:
    """Reduce a source image to what its derived image takes over.

    Pixels, private elements and elements that describe the pixels are removed. Lossy compression of the source is
    marked.

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
    """Empty the SOP Instance UID (0008,0018) of an image if several images have it, as anonymisation may leave it.

    Args:
        image: data set of a source image; changed in place.
        shared: such UIDs, see ``shared_uids``.
    """
    if image.get("SOPInstanceUID") in shared:
        image.SOPInstanceUID = ""


def write_series(
    volume: NDArray[np.floating],
    sources: Iterable[Source],
    folder: Path,
    *,
    provenance: Derivation,
    uid_seed: str | None = None,
    finer: tuple[FourierGrid, FourierGrid] | None = None,
    kind: str = "source",
) -> WrittenSeries:
    """Write one DICOM file for each source file, ``IM0001.dcm`` and so on in the order of the slices.

    The files are of their sources' SOP class, with the patient, study, frame of reference, geometry, windows and
    acquisition of their sources, and uncompressed (Explicit VR Little Endian).

    Args:
        volume: ``(columns, rows, slices)`` as ``read_series`` gives it: HU, SUV, or for other modalities what the
            source's rescale leads to.
        sources: data sets of the source images from ``keep_for_writing``, one for each slice, in the order of the
            slices, or Enhanced objects; each is changed.
        folder: an existing folder.
        provenance: what made the volume.
        uid_seed: text that the new UIDs are computed from, with the sources' UIDs and the provenance; ``None`` draws
            new ones each time.
        finer: the grids of the volume's first and second axis, where they are finer than those of the sources.
        kind: ``source``, or ``classic``: of an Enhanced object, one file of the classic SOP class for each slice.

    Returns:
        Clipped values, unit and unit factors of the series.

    Raises:
        RefusedInputError: the volume has another shape than the sources, or a source is damaged or lacks the elements
            that identify it.
        OSError: a file cannot be written.

    Source:
        DICOM PS3.3 C.7.6.1.1 (derived images), C.12.1 (SOP common).
    """
    if volume.ndim != 3:
        raise RefusedInputError(f"a volume of shape {volume.shape} is no series: pass (columns, rows, slices)")
    seed = None if uid_seed is None else f"{uid_seed} {provenance.seed_text}"
    series = _DerivedSeries(volume, folder, provenance, seed, finer)
    for source in sources:
        if not isinstance(source, EnhancedSource):
            series.add_image(source)
        elif kind == "classic":
            series.add_slices(source)
        else:
            series.add_object(source)
    if series.n_written != volume.shape[2]:
        raise RefusedInputError(
            f"a volume of shape {volume.shape} cannot be written over {series.n_written} source slices: pass the "
            "sources of all its slices"
        )
    if series.n_clipped:
        logger.warning(
            "%d of %d values were clipped to the range that the DICOM series can store", series.n_clipped, volume.size
        )
    return WrittenSeries(series.n_clipped, series.unit, tuple(series.unit_factors))


class _DerivedSeries:
    """A series that is being written."""

    def __init__(
        self,
        volume: NDArray[np.floating],
        folder: Path,
        provenance: Derivation,
        seed: str | None,
        finer: tuple[FourierGrid, FourierGrid] | None,
    ) -> None:
        self._volume, self._folder, self._provenance, self._finer = volume, folder, provenance, finer
        self._now = datetime.now().astimezone()
        self._identities = SeriesIdentities(seed)
        self._n_files = 0
        self.n_written = self.n_clipped = 0
        self.unit = ""
        self.unit_factors = [1.0] * volume.shape[2]

    def add_image(self, image: Dataset) -> None:
        """Write the next slice over a classic image."""
        index = self.n_written
        self.n_written += 1
        if index >= self._volume.shape[2]:
            return
        with refusing_damage(_path_of(image)):
            self.unit, factor = _unit(image), unit_factor(image)
            self.n_clipped += self._derive(image, index, factor)
            self._identities.join(image)
            identity = self._identities.derive(image.get("SOPInstanceUID") or "", image.PixelData)
            describe(image, identity, self._provenance, self._now)
            content = _encoded(image)
        self._next_file().write_bytes(content)

    def add_object(self, source: EnhancedSource) -> None:
        """Write the slices of an Enhanced object as an object of its kind."""
        image = source.image
        with tempfile.TemporaryFile(dir=self._folder) as pixels:
            with refusing_damage(_path_of(image)):
                views = FrameViews(image)
                self.unit = _unit(views[source.frames[0]])
                # Of an object that holds several volumes, each has its own derived object.
                part = "" if len(source.frames) == len(views) else f" {sorted(source.frames)}"
                pixels_of_first = self._volume[:, :, source.slices[0]].tobytes()
                identity = self._identities.derive(image.get("SOPInstanceUID") or "", pixels_of_first, part)
                types, series_uid = derived_type(image.get("ImageType")), str(image.get("SeriesInstanceUID") or "")
                derived = derive_object(source, self._volume, pixels, self._finer)
                describe(image, identity, self._provenance, self._now)
                image.ImageType = types
                refer_to_frames(image, sorted(source.frames), series_uid)
                _complete(image)
            write_object(derived, pixels, self._next_file())
        self.n_written += len(source.slices)
        self.n_clipped += derived.n_clipped
        for index, factor in derived.unit_factors.items():
            self.unit_factors[index] = factor

    def add_slices(self, source: EnhancedSource) -> None:
        """Write the slices of an Enhanced object as classic images."""
        path, views = _path_of(source.image), FrameViews(source.image)
        for frame, index in zip(source.frames, source.slices, strict=True):
            with refusing_damage(path):
                image = views.own(frame)
                self.unit, factor = _unit(image), unit_factor(image)
                self.n_clipped += self._derive(image, index, factor)
                uid = image.get("SOPInstanceUID") or ""
                identity = self._identities.derive(uid, image.PixelData, f" frame {frame}")
                describe(image, identity, self._provenance, self._now)
                refer_to_frame(image, frame)
                content = _encoded(classic_slice(image, index, self._volume.shape[2]))
            self.n_written += 1
            (self._folder / f"IM{index + 1:04d}.dcm").write_bytes(content)

    def _derive(self, image: Dataset, index: int, factor: float) -> int:
        """Give an image the plane and pixels of a slice; returns how many values were clipped."""
        if self._finer is not None:
            refine_plane(image, rows=self._finer[1], columns=self._finer[0])
        values = self._volume[:, :, index].T
        if (image.get("Rows"), image.get("Columns")) != values.shape:
            raise RefusedInputError(
                f"it has another size than the volume, {values.shape[1]} columns and {values.shape[0]} rows: pass the "
                "sources of this volume"
            )
        self.unit_factors[index] = factor
        return set_pixels(image, values, factor)

    def _next_file(self) -> Path:
        self._n_files += 1
        return self._folder / f"IM{self._n_files:04d}.dcm"


def _unit(image: Dataset) -> str:
    """The unit of an image, see ``WrittenSeries``."""
    units = {"CT": "HU", "PT": str(image.get("Units", ""))}
    return units.get(image.get("Modality", ""), "")


def _path_of(image: Dataset) -> Path:
    """The file that a data set was read from."""
    return Path(str(getattr(image, "filename", "an image of the series")))


def _encoded(image: Dataset) -> bytes:
    """A complete DICOM file, uncompressed."""
    _complete(image)
    buffer = io.BytesIO()
    write_complete(buffer, image)
    return buffer.getvalue()


def _complete(image: Dataset) -> None:
    """Give an image the elements about its file."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.preamble = bytes(128)
