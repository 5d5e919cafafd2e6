"""Reading one DICOM series as a volume, with its geometry checked and its rescale applied slice by slice."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import ensure_tuple
from numpy.typing import NDArray

from bundle.tat.data.dicom_geometry import LPS_TO_RAS, Dataset, affine_lps, order_slices
from bundle.tat.data.formats import DICOM_SUFFIXES
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)



def is_dicom_file(path: Path) -> bool:
    """Whether a file is a DICOM image: it has pixels, which a DICOMDIR, a report or a contour set has not.

    Args:
        path: an existing file.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.misc import is_dicom

    # Without the preamble anything could be read as DICOM, so the name must say that it is.
    if not is_dicom(path) and path.suffix.lower() not in DICOM_SUFFIXES:
        return False
    try:
        return "Rows" in pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except (InvalidDicomError, OSError, ValueError):
        return False


class DicomSeriesReader(ImageReader):
    """MONAI reader of one DICOM series: a folder that holds it, or a single file.

    Slices are ordered by their position along the slice normal, whatever their names and numbers. Rescale Slope and
    Intercept (0028,1053), (0028,1052) are applied to each slice in float32, since PET slices have slopes of their own.

    The array is ``(columns, rows, slices)``, the affine maps its indices to RAS millimetres, and the metadata names
    the ``modality`` as (0008,0060) has it.

    Raises:
        RefusedInputError: no images, more than one series, colour or multi-frame images, no position, PET in another
            unit than SUV, slices that are missing, duplicate, not parallel, not evenly spaced or out of line, or pixels
            that cannot be decoded.

    Source:
        DICOM PS3.3 C.7.6.2 (image plane) and C.7.6.3 (image pixel).
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether the path is a folder or a DICOM file."""
        path = Path(ensure_tuple(filename)[0])
        return path.is_dir() or is_dicom_file(path)

    def read(self, data: Sequence[PathLike] | PathLike, **_: Any) -> list[Dataset]:
        """Read and order the slices of the series.

        Args:
            data: folder or file; of a sequence the first is taken.

        Returns:
            pydicom data sets, first slice first.
        """
        path = Path(ensure_tuple(data)[0])
        slices = read_images(path)
        check_one_series(slices, path)
        return order_slices(slices, path)

    def get_data(self, img: list[Dataset]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The volume and its metadata.

        Args:
            img: what ``read`` returned.

        Returns:
            Array ``(columns, rows, slices)`` in float32 and a dictionary with ``affine`` (RAS, mm), ``modality``,
            ``spatial_shape`` and ``original_channel_dim``.
        """
        volume = np.stack([rescaled_pixels(image).T for image in img], axis=-1)
        affine = LPS_TO_RAS @ affine_lps(img)
        metadata = {
            "affine": affine,
            "original_affine": affine.copy(),
            "spatial_shape": np.asarray(volume.shape),
            "original_channel_dim": "no_channel",
            "space": "RAS",
            "modality": str(img[0].get("Modality", "")),
        }
        return volume, metadata


def read_images(path: Path) -> list[Dataset]:
    """Read every DICOM image of a folder (not of its subfolders), or one file.

    Args:
        path: folder or file. Files of a folder that are no DICOM images are counted in the log.

    Returns:
        Data sets that have pixels, in the order of their names.

    Raises:
        RefusedInputError: there is none.
    """
    import pydicom

    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    images = [pydicom.dcmread(file, force=True) for file in files if is_dicom_file(file)]
    if not images:
        raise RefusedInputError(f"{path} holds no DICOM images")
    if len(images) < len(files):
        logger.warning("%d of %d files in the DICOM folder are no images and were left out", len(files) - len(images), len(files))
    return images


def check_one_series(images: Sequence[Dataset], path: Path) -> None:
    """Refuse images that do not make up one series of plain grey slices in a known unit.

    Args:
        images: data sets.
        path: where they come from, for the message.

    Raises:
        RefusedInputError: see ``DicomSeriesReader``.
    """
    # Not every real series has a SeriesInstanceUID; an empty one is an identity like any other.
    distinct: dict[str, set[Any]] = {
        "series": {str(image.get("SeriesInstanceUID", "")) for image in images},
        "matrix sizes": {(image.Rows, image.Columns) for image in images},
        "pixel spacings": {str(image.get("PixelSpacing")) for image in images},
        "units (rescale, Units)": {(*_rescale_tags(image), str(image.get("Units", ""))) for image in images},
    }
    for what, identities in distinct.items():
        if len(identities) > 1:
            raise RefusedInputError(f"{path} holds {len(identities)} {what}: pass a folder with one series")
    for image in images:
        for reason in _reasons_against(image):
            raise RefusedInputError(f"{path} holds {reason}")


def _rescale_tags(image: Dataset) -> tuple[bool, bool]:
    """Which of the two rescale elements an image has; a series has them in all its images or in none."""
    return "RescaleSlope" in image, "RescaleIntercept" in image


def _reasons_against(image: Dataset) -> Iterator[str]:
    """Why an image cannot be restored."""
    if image.get("SamplesPerPixel", 1) != 1 or image.get("PhotometricInterpretation") != "MONOCHROME2":
        yield f"{image.get('PhotometricInterpretation')} images: only MONOCHROME2 is restored"
    if int(image.get("NumberOfFrames") or 1) != 1:
        yield "a multi-frame image: only one frame a file is supported"
    geometry = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    missing = [name for name in geometry if not image.get(name)]
    if missing:
        yield f"an image without {', '.join(missing)}: its geometry is unknown"
    if "ModalityLUTSequence" in image:
        yield "an image whose unit is given by a look-up table: only a linear rescale is supported"
    if image.get("RescaleSlope") == 0:
        yield "an image with Rescale Slope 0: its values are lost"
    # Units (0054,1001), PS3.3 C.8.9.1: GML is g/ml, that is SUV by body weight.
    if image.get("Modality") == "PT" and image.get("Units") != "GML":
        yield f"PET in {image.get('Units') or 'an unknown unit'}: TAT restores SUV (Units GML), convert it first"


def rescaled_pixels(image: Dataset) -> NDArray[np.float32]:
    """Pixels ``(rows, columns)`` in the unit that the rescale leads to (HU for CT), float32.

    Raises:
        RefusedInputError: the pixels are compressed in a way that no installed decoder reads, or damaged.
    """
    try:
        stored = image.pixel_array
    except Exception as error:
        # pydicom and its decoders raise many kinds; all mean that this slice cannot be had.
        reason = str(error).strip().splitlines()[0]
        raise RefusedInputError(f"the pixels of a slice cannot be decoded: {reason}") from error
    slope = np.float32(image.get("RescaleSlope", 1.0))
    intercept = np.float32(image.get("RescaleIntercept", 0.0))
    rescaled: NDArray[np.float32] = stored.astype(np.float32) * slope + intercept
    return rescaled
