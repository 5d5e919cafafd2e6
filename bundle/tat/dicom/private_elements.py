"""Private elements: found by the creator that reserved their block, both for reading and for keeping."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pydicom import Dataset


class PrivateElement(NamedTuple):
    """Where a manufacturer keeps a value.

    Args:
        group: its group, an odd number.
        creator: who reserves the block, in one of the elements (group,0010-00FF), letter by letter.
        offset: the last two digits of the element.

    Source:
        DICOM PS3.5 7.8.1.
    """

    group: int
    creator: str
    offset: int


def private_text(image: Dataset, element: PrivateElement) -> str:
    """Text of a private element of any VR; empty where the creator or the element is missing.

    Args:
        image: data set.
        element: the element to find.
    """
    found = _block_start(image, element)
    value = None if found is None else image[found + element.offset].value
    return "" if value is None else _plain(value)


def private_tags(image: Dataset, element: PrivateElement) -> set[int]:
    """Tags of a private element and of the one that reserves its block; none where either is missing.

    Args:
        image: data set.
        element: the element to find.
    """
    found = _block_start(image, element)
    return set() if found is None else {found + element.offset, (element.group << 16) + ((found & 0xFFFF) >> 8)}


def _block_start(image: Dataset, element: PrivateElement) -> int | None:
    """First tag of the block that holds the element."""
    for creator in image.private_creators(element.group):
        if _plain(creator) == element.creator:
            block = image.private_block(element.group, creator)
            return int(block.get_tag(0)) if element.offset in block else None
    return None


def _plain(value: object) -> str:
    """Text of a value that may have been kept as bytes (VR UN)."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return text.strip(" \0")
