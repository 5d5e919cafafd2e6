"""Reading one DICOM series as a volume, slice by slice, with its geometry checked and its unit known."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import ensure_tuple
from numpy.typing import NDArray

from bundle.tat.dicom.geometry import LPS_TO_RAS, affine_lps, order_slices
from bundle.tat.dicom.header import DicomHeader
from bundle.tat.dicom.open import read_dicom_header, read_image
from bundle.tat.dicom.pixels import rescaled_pixels
from bundle.tat.dicom.study import group_series, list_study
from bundle.tat.dicom.suv.factor import suv_factor
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

# Metadata entry with the files of the slices, first slice first: JSON, since batches of MONAI keep text as it is.
SOURCE_FILES: Final = "source_files"


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


class DicomSeriesReader(ImageReader):
    """MONAI reader of one DICOM series: a folder that holds it, a single file, or the list of its files.

    Slices are ordered by their position along the slice normal, whatever their names and numbers. Rescale Slope and
    Intercept (0028,1053), (0028,1052) are applied to each slice in float32, since PET slices have slopes of their own,
    and PET is brought to SUV, see ``bundle.tat.dicom.suv.factor``.

    The array is ``(columns, rows, slices)``, the affine maps its indices to RAS millimetres, and the metadata names
    the ``modality`` as (0008,0060) has it and, under ``SOURCE_FILES``, the file of each slice.

    Raises:
        RefusedInputError: no images, more than one series, images that cannot be restored (see ``DicomHeader.reason``),
            PET that cannot be brought to SUV, slices that are missing, duplicate, not evenly spaced or out of line, or
            damaged files.

    Source:
        DICOM PS3.3 C.7.6.2 (image plane) and C.7.6.3 (image pixel).
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether the path is a folder or a DICOM file."""
        path = Path(ensure_tuple(filename)[0])
        return path.is_dir() or is_dicom_file(path)

    def read(self, data: Sequence[PathLike] | PathLike, **_: Any) -> list[DicomHeader]:
        """Read the headers of a series and order its slices.

        Args:
            data: a folder, or the file or files of one series.

        Returns:
            Headers, first slice first.
        """
        first, *more = (Path(path) for path in ensure_tuple(data))
        if first.is_dir():
            return order_slices(_read_folder(first), first)
        place = first.parent if more else first
        return order_slices(_read_files([first, *more], place), place)

    def get_data(self, img: list[DicomHeader]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The volume and its metadata.

        Args:
            img: what ``read`` returned.

        Returns:
            Array ``(columns, rows, slices)`` in float32 and a dictionary with ``affine`` (RAS, mm), ``modality``,
            ``source_files``, ``spatial_shape`` and ``original_channel_dim``.
        """
        # Filled slice by slice: all files at once would need half as much memory again, or more.
        volume = np.empty((img[0].columns, img[0].rows, len(img)), dtype=np.float32)
        for index, header in enumerate(img):
            volume[..., index] = _read_slice(header).T
        affine = LPS_TO_RAS @ affine_lps(img)
        metadata = {
            "affine": affine,
            "original_affine": affine.copy(),
            "spatial_shape": np.asarray(volume.shape),
            "original_channel_dim": "no_channel",
            "space": "RAS",
            "modality": img[0].modality,
            SOURCE_FILES: json.dumps([str(header.path) for header in img]),
        }
        return volume, metadata


def _read_folder(folder: Path) -> list[DicomHeader]:
    """The one series of a folder."""
    contents = list_study(folder)
    if not contents.series:
        raise RefusedInputError(f"{folder} holds no DICOM series that can be restored{contents.reasons}")
    if len(contents.series) > 1:
        names = ", ".join(f"{series.name} ({len(series.files)} files)" for series in contents.series)
        raise RefusedInputError(
            f"{folder} holds {len(contents.series)} series ({names}): pass one in a folder of its own"
        )
    for item in contents.skipped:
        if item.n_images:
            logger.warning("skipped %s (images: %d): %s", item.name, item.n_images, item.reason)
    return _read_files(contents.series[0].files, folder)


def _read_files(files: Sequence[Path], path: Path) -> list[DicomHeader]:
    """The headers of one series, each of which may be restored, in one unit."""
    headers = [(file, read_dicom_header(file)) for file in files]
    for file, header in headers:
        if header is None:
            raise RefusedInputError(f"{file} is not DICOM")
        if header.reason:
            raise RefusedInputError(f"{file} cannot be restored: {header.reason}")
    images = [header for _, header in headers if header is not None]
    n_series = len(group_series(images))
    if n_series > 1:
        raise RefusedInputError(f"{path} holds {n_series} series: pass one")
    if len({image.unit for image in images}) > 1:
        raise RefusedInputError(f"{path} holds images in several units (rescale, Units): pass one series")
    return images


def _read_slice(header: DicomHeader) -> NDArray[np.float32]:
    """Values ``(rows, columns)`` in HU, SUV or the numbers of an MR image."""
    image = read_image(header.path)
    values = rescaled_pixels(image, header.path)
    if header.modality == "PT":
        try:
            values *= np.float32(suv_factor(image))
        except RefusedInputError as error:
            raise RefusedInputError(f"{header.path}: {error}") from error
    return values
