"""Reading one DICOM series as a volume, slice by slice, with its geometry checked and its unit known."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import ensure_tuple
from numpy.typing import NDArray

from bundle.tat.dicom.acquisition_matrix import ACQUIRED_SHARES, acquired_shares
from bundle.tat.dicom.geometry import LPS_TO_RAS, affine_lps, is_even
from bundle.tat.dicom.open import read_dicom_header, read_image, refusing_damage
from bundle.tat.dicom.padding import PADDING
from bundle.tat.dicom.pixels import padding_range, physical_pixels
from bundle.tat.dicom.study import Series, find_series
from bundle.tat.dicom.suv.factor import suv_assumptions
from bundle.tat.dicom.uids import shared_uids
from bundle.tat.dicom.writer import forget_shared_uid, keep_for_writing
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset


logger = logging.getLogger(__name__)

# Metadata entry with what was taken for granted, as JSON.
ASSUMPTIONS: Final = "assumptions"
# Metadata entry with the files of the slices, first slice first: JSON, since batches of MONAI keep text as it is.
SOURCE_FILES: Final = "source_files"

_UNEVEN: Final = "the slices are not evenly spaced: each was restored by itself, and lies where its source does"


def source_files(meta: Mapping[str, Any]) -> list[Path]:
    """The files that the slices of an image were read from.

    Args:
        meta: metadata of an image, or of what was made from it.

    Returns:
        One path for each slice along the last axis, first slice first; nothing for an image that is not from DICOM.
    """
    return [Path(file) for file in json.loads(meta.get(SOURCE_FILES) or "[]")]


def is_dicom_file(path: Path) -> bool:
    """Whether a file is a DICOM image: it has pixels, which a DICOMDIR, a report or a contour set has not.

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
        sources: data set of each slice, as ``write_series`` takes it.
        padding: ranges of declared padding, lowest and highest value each, in the unit of the values.
        assumptions: what was taken for granted where the header does not tell, a sentence each.
    """

    values: NDArray[np.float32]
    affine: NDArray[np.float64]
    modality: str
    files: tuple[Path, ...]
    sources: tuple[Dataset, ...]
    padding: tuple[tuple[float, float], ...]
    assumptions: tuple[str, ...] = ()

    @property
    def metadata(self) -> dict[str, Any]:
        """What MONAI's readers say of an image, with the modality and the files."""
        return {
            "affine": self.affine,
            "original_affine": self.affine.copy(),
            "spatial_shape": np.asarray(self.values.shape),
            "original_channel_dim": "no_channel",
            "space": "RAS",
            "modality": self.modality,
            PADDING: json.dumps(self.padding),
            ASSUMPTIONS: json.dumps(self.assumptions),
            ACQUIRED_SHARES: json.dumps(acquired_shares(self.sources[0])),
            SOURCE_FILES: json.dumps([str(file) for file in self.files]),
        }


def read_series(series: Series, *, allow_uneven: bool = False) -> SeriesVolume:
    """Read the slices of a series; each file is opened once.

    Slices are ordered by their position along the slice normal, whatever their names and numbers. Rescale Slope and
    Intercept (0028,1053), (0028,1052) are applied to each slice in float32, since PET slices have slopes of their own,
    and PET is brought to SUV, see ``bundle.tat.dicom.suv``.

    Args:
        series: what the search found.
        allow_uneven: take slices whose distances vary; the affine has their mean distance.

    Returns:
        The volume, its place, and what a derived series is written from.

    Raises:
        RefusedInputError: see ``Series.slices``; PET that cannot be brought to SUV, or damaged pixels.

    Source:
        DICOM PS3.3 C.7.6.2 (image plane) and C.7.6.3 (image pixel).
    """
    headers = series.slices(allow_uneven=allow_uneven)
    shared = shared_uids(header.instance_uid for header in headers)
    # Filled slice by slice: all files at once would need half as much memory again, or more.
    stack = np.empty((len(headers), headers[0].rows, headers[0].columns), dtype=np.float32)
    sources = []
    padding: set[tuple[float, float]] = set()
    # In the order in which they come up.
    assumptions = dict.fromkeys(filter(None, (series.assumption, "" if is_even(headers) else _UNEVEN)))
    for header, place in zip(headers, stack, strict=True):
        image = read_image(header.path)
        place[...] = physical_pixels(image, header.path)
        with refusing_damage(header.path):
            if (declared := padding_range(image)) is not None:
                padding.add(declared)
            if header.modality == "PT":
                assumptions.update(dict.fromkeys(suv_assumptions(image)))
            forget_shared_uid(image, shared)
            sources.append(keep_for_writing(image))
    for assumption in assumptions:
        logger.warning("%s: %s", series.place, assumption)
    return SeriesVolume(
        values=stack.transpose(2, 1, 0),
        affine=LPS_TO_RAS @ affine_lps(headers),
        modality=headers[0].modality,
        files=tuple(header.path for header in headers),
        sources=tuple(sources),
        padding=tuple(sorted(padding)),
        assumptions=tuple(assumptions),
    )


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
            ``source_files``, ``spatial_shape`` and ``original_channel_dim``.
        """
        return img.values, img.metadata
