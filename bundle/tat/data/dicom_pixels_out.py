"""From physical values to the stored pixels of a derived image: the reader's rescale, backwards."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.data.dicom_header import Dataset
from bundle.tat.data.suv import suv_factor

# Pixels are written in 16 bits, all of them used: what the source stores in 12 may need more after restoration.
N_BITS: Final = 16
# PET has one slope for each image, which puts its largest value on the largest that can be stored.
LARGEST_PET_VALUE: Final = 2 ** (N_BITS - 1) - 1


def set_pixels(image: Dataset, values: NDArray[np.floating[Any]]) -> int:
    """Replace the pixels of an image and what describes their storage.

    CT stores Hounsfield units as they are (signed, Rescale Slope 1, Rescale Intercept 0). PET stores signed values with
    a slope of its own for each image, Rescale Intercept 0, in the source's Units. Everything else keeps the source's
    rescale, or has none, and its signedness.

    Args:
        image: data set of the source image; changed in place.
        values: ``(rows, columns)`` in the unit that the reader gives: HU, SUV or what the source's rescale leads to.

    Returns:
        How many values lay outside the range that can be stored and were clipped to it.

    Source:
        DICOM PS3.3 C.8.2.1 (CT), C.8.3.1 (MR) and C.8.9.4 (PET).
    """
    stored = _stored(image, np.asarray(values, dtype=np.float64))
    limits = np.iinfo(np.int16 if image.PixelRepresentation else np.uint16)
    n_clipped = int(np.count_nonzero((stored < limits.min) | (stored > limits.max)))
    pixels = np.clip(stored, limits.min, limits.max).astype(limits.dtype.newbyteorder("<"))
    image.BitsAllocated, image.BitsStored, image.HighBit = N_BITS, N_BITS, N_BITS - 1
    image.add_new("PixelData", "OW", pixels.tobytes())
    return n_clipped


def _stored(image: Dataset, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whole numbers to store, not yet clipped; sets the rescale and the signedness of the image."""
    modality = image.get("Modality")
    if modality == "CT":
        slope = _set_rescale(image, 1.0)
        intercept = 0.0
    elif modality == "PT":
        values = values / suv_factor(image)
        slope = _set_rescale(image, float(np.abs(values).max()) / LARGEST_PET_VALUE or 1.0)
        intercept = 0.0
        image.pop("RescaleType", None)  # not part of the PET Image Module
    else:
        # An element may be there and empty.
        slope, intercept = float(image.get("RescaleSlope") or 1.0), float(image.get("RescaleIntercept") or 0.0)
    return np.rint((values - intercept) / slope)


def _set_rescale(image: Dataset, slope: float) -> float:
    """Give the image signed pixels with a slope and no intercept; returns the slope as a reader will read it."""
    from pydicom.valuerep import format_number_as_ds

    image.PixelRepresentation = 1
    # A Decimal String has 16 characters, which round the slope: the pixels must fit what is written.
    image.RescaleSlope, image.RescaleIntercept = format_number_as_ds(slope), "0"
    # Maps values as the source stored them, which these are not.
    image.pop("RealWorldValueMappingSequence", None)
    return float(image.RescaleSlope)
