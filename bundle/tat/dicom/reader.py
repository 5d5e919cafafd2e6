"""Reading one DICOM series as a volume, slice by slice, with its geometry checked and its unit known."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import ensure_tuple
from numpy.typing import NDArray

from bundle.tat.dicom.acquisition_matrix import ACQUIRED_SHARES, acquired_shares
from bundle.tat.dicom.enhanced.pixels import open_frames
from bundle.tat.dicom.enhanced.source import EnhancedSource, keep_object
from bundle.tat.dicom.geometry import LPS_TO_RAS, affine_lps, is_even
from bundle.tat.dicom.header import DicomHeader
from bundle.tat.dicom.open import read_dicom_header, read_image, refusing_damage
from bundle.tat.dicom.padding import PADDING
from bundle.tat.dicom.pixels import padding_range, physical_pixels
from bundle.tat.dicom.study import Series, find_series
from bundle.tat.dicom.suv.factor import suv_assumptions
from bundle.tat.dicom.uids import shared_uids
from bundle.tat.dicom.writer import Source, forget_shared_uid, keep_for_writing, read_sources
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset


logger = logging.getLogger(__name__)

# Metadata entry with what was assumed, as JSON.
ASSUMPTIONS: Final = "assumptions"
# Metadata entry of DICOM: whether all slices have one distance.
EVENLY_SPACED: Final = "evenly_spaced"
# Metadata entry with the files of the slices, first slice first: JSON, since batches of MONAI keep text as it is.
SOURCE_FILES: Final = "source_files"
# Metadata entry with the frames that the slices are of their files, from 0; empty for classic images. JSON too.
SOURCE_FRAMES: Final = "source_frames"

_UNEVEN: Final = "the slices are not evenly spaced: each was restored by itself and has the position of its source"


def source_files(meta: Mapping[str, Any]) -> list[Path]:
    """The files that the slices of an image were read from.

    Args:
        meta: metadata of an image, or of what was made from it.

    Returns:
        One path for each slice along the last axis, first slice first; empty for an image that is not from DICOM.
    """
    return [Path(file) for file in json.loads(meta.get(SOURCE_FILES) or "[]")]


def reread_sources(meta: Mapping[str, Any]) -> Iterator[Source]:
    """Read what a derived series is written from, for volumes whose reader has not kept it.

    Args:
        meta: metadata of an image, or of what was made from it.

    Yields:
        What ``write_series`` takes.

    Raises:
        RefusedInputError: a file cannot be read.
    """
    files, frames = source_files(meta), json.loads(meta.get(SOURCE_FRAMES) or "[]")
    if not frames:
        yield from read_sources(files)
        return
    for file, slices in _slices_of_files(files).items():
        with refusing_damage(file), open_frames(file) as opened:
            of_file = tuple(int(frames[index]) for index in slices)
            yield EnhancedSource(keep_object(opened.image, opened[of_file[0]]), of_file, slices)


def _slices_of_files(files: Sequence[Path]) -> dict[Path, tuple[int, ...]]:
    """Which slices each file holds."""
    slices: defaultdict[Path, list[int]] = defaultdict(list)
    for index, file in enumerate(files):
        slices[file].append(index)
    return {file: tuple(of_file) for file, of_file in slices.items()}


def is_dicom_file(path: Path) -> bool:
    """Whether a file is a DICOM image: it has pixels. A DICOMDIR, a report and a contour set have none.

    Args:
        path: an existing file.
    """
    try:
        header = read_dicom_header(path)
    except RefusedInputError:
        return False
    return header is not None and header.is_image


class SeriesVolume(NamedTuple):
    """A series that was read.

    Args:
        values: ``(columns, rows, slices)`` in float32: HU, SUV, or what the rescale of an MR image leads to. The values
            of a slice lie together in memory.
        affine: array indices to RAS millimetres, ``(4, 4)``.
        modality: as (0008,0060) has it.
        files: of the slices, first slice first.
        frames: that the slices are of their files, from 0; empty for classic images.
        sources: data set of each slice or of each Enhanced object, as ``write_series`` takes it.
        padding: ranges of declared padding, lowest and highest value each, in the unit of the values.
        assumptions: what was assumed where the header does not say, a sentence each.
        evenly_spaced: whether all slices have one distance.
    """

    values: NDArray[np.float32]
    affine: NDArray[np.float64]
    modality: str
    files: tuple[Path, ...]
    frames: tuple[int, ...]
    sources: tuple[Source, ...]
    padding: tuple[tuple[float, float], ...]
    assumptions: tuple[str, ...] = ()
    evenly_spaced: bool = True

    @property
    def metadata(self) -> dict[str, Any]:
        """What MONAI's readers say of an image, with the modality and the files."""
        source = self.sources[0]
        first = source.first_frame if isinstance(source, EnhancedSource) else source
        return {
            "affine": self.affine,
            "original_affine": self.affine.copy(),
            "spatial_shape": np.asarray(self.values.shape),
            "original_channel_dim": "no_channel",
            "space": "RAS",
            "modality": self.modality,
            PADDING: json.dumps(self.padding),
            ASSUMPTIONS: json.dumps(self.assumptions),
            EVENLY_SPACED: self.evenly_spaced,
            ACQUIRED_SHARES: json.dumps(acquired_shares(first)),
            SOURCE_FILES: json.dumps([str(file) for file in self.files]),
            SOURCE_FRAMES: json.dumps(self.frames),
        }


def read_series(series: Series, *, allow_uneven: bool = False) -> SeriesVolume:
    """Read the slices of a series; each file is opened once.

    Slices are ordered by their position along the slice normal, not by their names and numbers. Rescale Slope and
    Intercept (0028,1053), (0028,1052) are applied to each slice in float32, since PET slices have their own slopes. PET
    is converted to SUV, see ``bundle.tat.dicom.suv``.

    Args:
        series: what the search found.
        allow_uneven: accept slices whose distances vary; the affine has their mean distance.

    Returns:
        The volume, its geometry, and what a derived series is written from.

    Raises:
        RefusedInputError: see ``Series.slices``; PET that cannot be converted to SUV, or damaged pixels.

    Source:
        DICOM PS3.3 C.7.6.2 (image plane) and C.7.6.3 (image pixel).
    """
    headers = series.slices(allow_uneven=allow_uneven)
    # Filled slice by slice: all files at once would need half as much memory again, or more.
    stack = np.empty((len(headers), headers[0].rows, headers[0].columns), dtype=np.float32)
    found = _Found([series.assumption] if series.assumption else [])
    evenly_spaced = is_even(headers)
    if not evenly_spaced:
        found.assumptions.append(_UNEVEN)
    read = _read_images if headers[0].frame is None else _read_frames
    sources = tuple(read(headers, stack, found))
    for assumption in found.assumptions:
        logger.warning("%s: %s", series.place, assumption)
    return SeriesVolume(
        values=stack.transpose(2, 1, 0),
        affine=LPS_TO_RAS @ affine_lps(headers),
        modality=headers[0].modality,
        files=tuple(header.path for header in headers),
        frames=tuple(header.frame for header in headers if header.frame is not None),
        sources=sources,
        padding=tuple(sorted(found.padding)),
        assumptions=tuple(found.assumptions),
        evenly_spaced=evenly_spaced,
    )


@dataclass(frozen=True)
class _Found:
    """The padding that the slices of a series declare, and the assumptions about them, in their order."""

    assumptions: list[str]
    padding: set[tuple[float, float]] = field(default_factory=set)


def _read_images(headers: Sequence[DicomHeader], stack: NDArray[np.float32], found: _Found) -> Iterator[Source]:
    """Read classic images into a stack; what is written from them is yielded."""
    shared = shared_uids(header.instance_uid for header in headers)
    for header, place in zip(headers, stack, strict=True):
        image = read_image(header.path)
        _read_slice(image, header.path, place, found)
        with refusing_damage(header.path):
            forget_shared_uid(image, shared)
            yield keep_for_writing(image)


def _read_frames(headers: Sequence[DicomHeader], stack: NDArray[np.float32], found: _Found) -> Iterator[Source]:
    """The same for frames of Enhanced objects, which are read one at a time."""
    for file, slices in _slices_of_files([header.path for header in headers]).items():
        frames = tuple(int(headers[index].frame or 0) for index in slices)
        with refusing_damage(file), open_frames(file) as opened:
            for frame, index in zip(frames, slices, strict=True):
                _read_slice(opened[frame], file, stack[index], found)
            yield EnhancedSource(keep_object(opened.image, opened[frames[0]]), frames, slices)


def _read_slice(image: Dataset, path: Path, place: NDArray[np.float32], found: _Found) -> None:
    """Read the pixels of one slice into its place."""
    place[...] = physical_pixels(image, path)
    with refusing_damage(path):
        if (declared := padding_range(image)) is not None:
            found.padding.add(declared)
        if image.get("Modality") == "PT":
            found.assumptions.extend(one for one in suv_assumptions(image) if one not in found.assumptions)


class DicomSeriesReader(ImageReader):
    """``read_series`` as a MONAI reader of a folder with one series, a single file, or the list of its files.

    Raises:
        RefusedInputError: see ``find_series`` and ``read_series``.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether the path is a folder or a DICOM file."""
        path = Path(ensure_tuple(filename)[0])
        return path.is_dir() or is_dicom_file(path)

    def read(self, data: Sequence[PathLike] | PathLike, **_: Any) -> SeriesVolume:
        """Find a series and read it.

        Args:
            data: a folder, or the file or files of one series.
        """
        return read_series(find_series([Path(path) for path in ensure_tuple(data)]))

    def get_data(self, img: SeriesVolume) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The volume and its metadata.

        Args:
            img: what ``read`` returned.

        Returns:
            Array ``(columns, rows, slices)`` in float32 and a dictionary with ``affine`` (RAS, mm), ``modality``,
            ``source_files``, ``source_frames``, ``spatial_shape`` and ``original_channel_dim``.
        """
        return img.values, img.metadata
