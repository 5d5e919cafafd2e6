"""Marking lossy compression: an image that is made from pixels with losses has these losses too."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset


# Transfer syntaxes that may lose information, and what Lossy Image Compression Method (0028,2114) calls them,
# PS3.3 C.7.6.1.1.5.1.
_METHODS: Final = MappingProxyType(
    {
        "1.2.840.10008.1.2.4.50": "ISO_10918_1",  # JPEG baseline
        "1.2.840.10008.1.2.4.51": "ISO_10918_1",  # JPEG extended
        "1.2.840.10008.1.2.4.81": "ISO_14495_1",  # JPEG-LS near-lossless
        "1.2.840.10008.1.2.4.91": "ISO_15444_1",  # JPEG 2000
        "1.2.840.10008.1.2.4.93": "ISO_15444_2",  # JPEG 2000 part 2
        "1.2.840.10008.1.2.4.203": "ISO_15444_15",  # High-throughput JPEG 2000
        "1.2.840.10008.1.2.4.112": "ISO_18181_1",  # JPEG XL
    }
)
# These also store without loss; Lossy Image Compression (0028,2110) of the image decides.
_EITHER: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (91, 93, 203, 112))


def propagate_lossy_compression(image: Dataset) -> None:
    """Mark an image as compressed with loss if its source was, with ratio and method.

    Args:
        image: data set of the source image, with its pixels as they are in the file; changed in place.
    """
    syntax = str(image.file_meta.get("TransferSyntaxUID", ""))
    marked = image.get("LossyImageCompression")
    if syntax not in _METHODS or (marked == "00" and syntax in _EITHER):
        return
    image.LossyImageCompression = "01"
    # Each compression adds a value; where there are values, the scanner or archive that compressed has given them.
    if not image.get("LossyImageCompressionRatio"):
        image.LossyImageCompressionRatio = f"{_compression_ratio(image):.2f}"
    if not image.get("LossyImageCompressionMethod"):
        image.LossyImageCompressionMethod = _METHODS[syntax]


def _compression_ratio(image: Dataset) -> float:
    """Bytes of the pixels before compression for each byte after it."""
    return float(image.Rows * image.Columns * image.BitsAllocated // 8 / len(image.PixelData))
