"""The pixels of one DICOM image: decoded from any transfer syntax into physical units, and stored again."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.dicom.open import first_line
from bundle.tat.dicom.padding import set_stored_padding, stored_padding
from bundle.tat.dicom.suv.factor import suv_factor
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

# What GDCM in SimpleITK decodes, PS3.5 A.4: JPEG baseline, extended and lossless, JPEG-LS, JPEG 2000.
GDCM_SYNTAXES: Final = frozenset(
    f"1.2.840.10008.1.2.4.{number}" for number in ("50", "51", "57", "70", "80", "81", "90", "91")
)
# What pydicom reads without a decoder: implicit, explicit and big endian, deflated, and RLE.
PLAIN_SYNTAXES: Final = frozenset(f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2", ".5"))
# Decoders of the only other syntaxes that hold single grey slices, High-Throughput JPEG 2000.
OTHER_DECODERS: Final = "pip install pylibjpeg pylibjpeg-openjpeg"

# The Image Pixel module, PS3.3 C.7.6.3: all that a decoder needs.
_PIXEL_TAGS: Final = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)

# Pixels are written in 16 bits, all of them used: what the source stores in 12 may need more after restoration.
N_BITS: Final = 16
# PET has one slope for each image, which puts its largest value on the largest that can be stored.
LARGEST_PET_VALUE: Final = 2 ** (N_BITS - 1) - 1


def physical_pixels(image: Dataset, path: Path) -> NDArray[np.float32]:
    """Pixels in physical units; ``set_pixels`` does the reverse.

    Rescale Slope and Intercept (0028,1053), (0028,1052) are applied, and PET is brought to SUV by body weight.

    Args:
        image: pydicom data set with its pixels.
        path: its file, for the message.

    Returns:
        ``(rows, columns)`` in float32: HU for CT, SUV for PET, what the rescale leads to for the others.

    Raises:
        RefusedInputError: see ``stored_pixels`` and ``suv_factor``.
    """
    try:
        return _to_physical(image, stored_pixels(image, path))
    except RefusedInputError as error:
        if str(path) in str(error):
            raise
        raise RefusedInputError(f"{path}: {error}") from error


def _to_physical(image: Dataset, stored: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """Stored values of an image in physical units."""
    slope, intercept = image.get("RescaleSlope"), image.get("RescaleIntercept")
    values: NDArray[np.float32] = stored.astype(np.float32)
    values *= np.float32(1.0 if slope is None else slope)
    values += np.float32(0.0 if intercept is None else intercept)
    if (factor := unit_factor(image)) != 1.0:
        values *= np.float32(factor)
    return values


def unit_factor(image: Dataset) -> float:
    """Factor from the unit of an image, after its rescale, to the unit that ``physical_pixels`` gives.

    Args:
        image: pydicom data set.

    Returns:
        The factor to SUV for PET, 1 for others.

    Raises:
        RefusedInputError: see ``suv_factor``.
    """
    return suv_factor(image) if image.get("Modality") == "PT" else 1.0


def set_pixels(image: Dataset, values: NDArray[np.floating[Any]], factor: float) -> int:
    """Replace the pixels of an image and what describes their storage.

    CT stores Hounsfield units as they are (signed, Rescale Slope 1, Rescale Intercept 0). PET stores signed values with
    a slope of its own for each image, Rescale Intercept 0, in the source's Units. Everything else keeps the source's
    rescale, or has none, and its signedness.

    Args:
        image: data set of the source image; changed in place.
        values: ``(rows, columns)`` in the unit that the reader gives: HU, SUV or what the source's rescale leads to.
        factor: ``unit_factor`` of the image.

    Returns:
        How many values lay outside the range that can be stored and were clipped to it.

    Source:
        DICOM PS3.3 C.8.2.1 (CT), C.8.3.1 (MR) and C.8.9.4 (PET).
    """
    padding = padding_range(image)
    stored = _stored(image, values, factor)
    limits = np.iinfo(np.int16 if image.PixelRepresentation else np.uint16)
    set_stored_padding(image, None if padding is None else _padding_to_store(image, padding, factor, limits))
    n_clipped = 0
    if stored.min() < limits.min or stored.max() > limits.max:
        n_clipped = int(np.count_nonzero((stored < limits.min) | (stored > limits.max)))
        stored = np.clip(stored, limits.min, limits.max)
    pixels = stored.astype(limits.dtype.newbyteorder("<"))
    image.BitsAllocated, image.BitsStored, image.HighBit = N_BITS, N_BITS, N_BITS - 1
    image.add_new("PixelData", "OW", pixels.tobytes())
    return n_clipped


def _stored(image: Dataset, values: NDArray[np.floating[Any]], factor: float) -> NDArray[np.floating[Any]]:
    """Whole numbers to store, not yet clipped; sets the rescale and the signedness of the image."""
    modality = image.get("Modality")
    if modality == "CT":
        _set_rescale(image, 1.0)
        return _whole(values)
    if modality == "PT":
        largest = max(float(values.max()), -float(values.min())) / factor
        slope = _set_rescale(image, largest / LARGEST_PET_VALUE or 1.0)
        image.pop("RescaleType", None)  # not part of the PET Image Module
        return _whole(np.multiply(values, 1.0 / (factor * slope), dtype=np.float64))
    # An element may be there and empty.
    slope, intercept = float(image.get("RescaleSlope") or 1.0), float(image.get("RescaleIntercept") or 0.0)
    if (slope, intercept) == (1.0, 0.0):
        return _whole(values)
    return _whole((values.astype(np.float64) - intercept) / slope)


def padding_range(image: Dataset) -> tuple[float, float] | None:
    """What an image declares to be padding, in the unit that ``physical_pixels`` gives.

    Args:
        image: pydicom data set.

    Returns:
        Lowest and highest value, both included; ``None`` where no padding is declared.

    Raises:
        RefusedInputError: see ``suv_factor``.
    """
    stored = stored_padding(image)
    if stored is None:
        return None
    first, last = (float(value) for value in _to_physical(image, np.array(stored)))
    return min(first, last), max(first, last)


def _padding_to_store(
    image: Dataset, padding: tuple[float, float], factor: float, limits: np.iinfo[Any]
) -> tuple[int, int]:
    """The stored values of a range of padding, under the rescale that the image now has."""
    slope, intercept = float(image.get("RescaleSlope") or 1.0), float(image.get("RescaleIntercept") or 0.0)
    stored = _whole((np.array(padding) / factor - intercept) / slope).clip(limits.min, limits.max)
    return int(stored.min()), int(stored.max())


def _whole(values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """The nearest whole numbers; of two that are as near, the even one."""
    rounded: NDArray[np.floating[Any]] = np.rint(values)
    return rounded


def _set_rescale(image: Dataset, slope: float) -> float:
    """Give the image signed pixels with a slope and no intercept; returns the slope as a reader will read it."""
    from pydicom.valuerep import format_number_as_ds

    image.PixelRepresentation = 1
    # A Decimal String has 16 characters, which round the slope: the pixels must fit what is written.
    image.RescaleSlope, image.RescaleIntercept = format_number_as_ds(slope), "0"
    # Maps values as the source stored them, which these are not.
    image.pop("RealWorldValueMappingSequence", None)
    return float(image.RescaleSlope)


def stored_pixels(image: Dataset, path: Path) -> NDArray[np.integer[Any]]:
    """Pixels as they are stored.

    pydicom decodes with those of its decoders that are installed. GDCM, which is part of SimpleITK, decodes the
    compressions for which pydicom has no decoder.

    Args:
        image: pydicom data set with its pixels.
        path: its file, for the message.

    Returns:
        Integers ``(rows, columns)``.

    Raises:
        RefusedInputError: no installed decoder reads the transfer syntax, or the pixels are damaged.
    """
    syntax = image.file_meta.get("TransferSyntaxUID")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of extra bytes, and of decoders that were tried; the shape is checked
            pixels: NDArray[np.integer[Any]] = image.pixel_array
    except Exception as error:
        # pydicom and its decoders raise many kinds; all mean that they cannot decode this slice.
        if syntax not in GDCM_SYNTAXES:
            raise RefusedInputError(f"the pixels of {path} cannot be decoded: {_reason(syntax, error)}") from error
        pixels = _decode_with_gdcm(image, path)
    if pixels.shape != (image.Rows, image.Columns):
        size = f"{image.Rows} x {image.Columns}"
        raise RefusedInputError(f"the pixels of {path} cannot be decoded: they are {pixels.shape} instead of {size}")
    return _without_unused_bits(pixels, image.BitsStored) if syntax in PLAIN_SYNTAXES else pixels


def _reason(syntax: UID | None, error: Exception) -> str:
    """Why pixels cannot be decoded, with the remedy if a decoder is missing."""
    if syntax is None or syntax in PLAIN_SYNTAXES:
        return first_line(error)
    return f"no decoder of {syntax.name} is installed; get one with {OTHER_DECODERS}"


def _without_unused_bits(pixels: NDArray[np.integer[Any]], n_bits: int) -> NDArray[np.integer[Any]]:
    """Clear the bits above Bits Stored (0028,0101), which may hold an overlay, and repeat the sign there.

    Source:
        PS3.5 8.1.1. pydicom 3 does so too, pydicom 2 does not.
    """
    n_unused = pixels.dtype.itemsize * 8 - n_bits
    return pixels << n_unused >> n_unused if n_unused > 0 else pixels


def _decode_with_gdcm(image: Dataset, path: Path) -> NDArray[np.integer[Any]]:
    """Decode through a temporary file that holds only the pixels: no rescale to apply, and no patient."""
    import SimpleITK
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = image.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pixels.dcm"
        bare = FileDataset(file, {}, preamble=b"\0" * 128, file_meta=meta, is_implicit_VR=False, is_little_endian=True)
        bare.SOPClassUID, bare.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        for name in _PIXEL_TAGS:
            bare[name] = image[name]
        try:
            bare.save_as(file)
            decoded: NDArray[np.integer[Any]] = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))
        except Exception as error:
            syntax = image.file_meta.TransferSyntaxUID.name
            raise RefusedInputError(f"the pixels of {path} ({syntax}) are damaged: no decoder reads them") from error
    pixels: NDArray[np.integer[Any]] = decoded[0]
    return pixels
