"""Pixels that a header declares to be padding: values that are no measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

# Metadata entry with the ranges of padding in physical units: JSON, since batches of MONAI keep text as it is.
PADDING: Final = "padding"


def stored_padding(image: Dataset) -> tuple[int, int] | None:
    """The stored values that an image declares to be padding.

    Args:
        image: pydicom data set.

    Returns:
        Lowest and highest of them, both included; ``None`` where none is declared.

    Source:
        Pixel Padding Value (0028,0120) and Pixel Padding Range Limit (0028,0121), PS3.3 C.7.5.1.1.2.
    """
    value = image.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = image.get("PixelPaddingRangeLimit")
    values = [_as_stored(each, image) for each in (value, limit if isinstance(limit, int) else value)]
    return min(values), max(values)


def _as_stored(value: int, image: Dataset) -> int:
    """A value as the pixels have it: some writers give signed pixels an unsigned padding value, or the reverse."""
    n_values = 1 << int(image.get("BitsAllocated") or 16)
    is_signed = int(image.get("PixelRepresentation") or 0)
    value %= n_values
    return value - n_values if is_signed and value >= n_values // 2 else value


def set_stored_padding(image: Dataset, padding: tuple[int, int] | None) -> None:
    """Declare the padding of an image.

    Args:
        image: pydicom data set, with its Pixel Representation (0028,0103); changed in place.
        padding: lowest and highest stored value; ``None`` declares none.
    """
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        image.pop(keyword, None)
    if padding is None:
        return
    kind = "SS" if image.PixelRepresentation else "US"
    image.add_new((0x0028, 0x0120), kind, padding[0])
    if padding[1] > padding[0]:
        image.add_new((0x0028, 0x0121), kind, padding[1])
