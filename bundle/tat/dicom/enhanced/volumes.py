"""Which frames of a series make up one volume."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

    from bundle.tat.dicom.header import DicomHeader

Group = list["DicomHeader"]

# Dimension Index Pointers (0020,9165) to the place of a frame, not to its content.
_PLACES: Final = frozenset({0x00209057, 0x00200032, 0x00209056, 0x00201041, 0x00209113, 0x00209116, 0x00200037})


def volume_of(view: Dataset) -> tuple[str, ...]:
    """Values that frames of one volume share: frames that differ in one of them are never of one volume.

    Args:
        view: the frame as a classic image.

    Returns:
        Stack ID (0020,9056), Frame Type (0008,9007), echo time, b-value and direction of the diffusion gradient.
    """
    echo, b_value = view.get("EchoTime"), view.get("DiffusionBValue")
    direction = [
        f"{float(number):.3f}"
        for item in view.get("DiffusionGradientDirectionSequence") or ()
        for number in item.get("DiffusionGradientOrientation") or ()
    ]
    return (
        _word(view, "StackID"),
        "\\".join(str(word) for word in view.get("ImageType") or ()),
        "" if echo is None else f"{float(echo):.4g}",
        "" if b_value is None else f"{float(b_value):g}",
        " ".join(direction) if _word(view, "DiffusionDirectionality") == "DIRECTIONAL" else "",
    )


def phase_of(view: Dataset, pointers: tuple[int, ...]) -> tuple[str, ...]:
    """Values that may separate two frames at one place, the best ones first.

    Args:
        view: the frame as a classic image.
        pointers: see ``dimension_pointers``.

    Returns:
        Temporal Position Index (0020,9128), Temporal Position Time Offset (0020,930D), Nominal Cardiac Trigger Delay
        Time (0020,9153), Frame Acquisition Number (0020,9156), and each index that is not of a place.
    """
    named = ("TemporalPositionIndex", "TemporalPositionTimeOffset", "NominalCardiacTriggerDelayTime")
    indices = view.get("DimensionIndexValues")
    values = (indices,) if isinstance(indices, int) else tuple(indices or ())
    return (
        *(_word(view, name) for name in (*named, "FrameAcquisitionNumber")),
        *(str(values[pointer]) if pointer < len(values) else "" for pointer in pointers),
    )


def dimension_pointers(image: Dataset) -> tuple[int, ...]:
    """Which of the indices of a frame are not of its place.

    Args:
        image: Enhanced data set.

    Returns:
        Positions in Dimension Index Values (0020,9157).
    """
    items = image.get("DimensionIndexSequence") or ()
    return tuple(
        index for index, item in enumerate(items) if int(item.get("DimensionIndexPointer") or 0) not in _PLACES
    )


def _word(view: Dataset, name: str) -> str:
    value = view.get(name)
    return "" if value is None else str(value).strip().upper()


def split_volumes(frames: Sequence[DicomHeader]) -> Iterator[list[DicomHeader]]:
    """Separate frames at the same places, where the header does.

    Args:
        frames: of one series, parallel and of one size.

    Yields:
        Volumes without two frames at one place: those of one file each, of one time point, of one phase of the heart,
        or of one value of another dimension. Frames that cannot be separated stay together, and are refused.
    """
    if _has_one_each(frames):
        yield list(frames)
        return
    n_keys = max(len(frame.phase) for frame in frames)
    for part in (
        _parted(frames, [frame.path for frame in frames]),
        *(_parted(frames, [frame.phase[index : index + 1] for frame in frames]) for index in range(n_keys)),
        _parted(frames, [frame.phase for frame in frames]),
    ):
        if all(_has_one_each(volume) for volume in part) and _are_volumes(part, frames):
            yield from part
            return
    yield list(frames)


def _parted(frames: Sequence[DicomHeader], keys: Sequence[Hashable]) -> list[Group]:
    parts: defaultdict[Hashable, Group] = defaultdict(list)
    for frame, key in zip(frames, keys, strict=True):
        parts[key].append(frame)
    return list(parts.values())


def _has_one_each(frames: Sequence[DicomHeader]) -> bool:
    """Whether no two frames are at one place."""
    return len({frame.position for frame in frames}) == len(frames)


def _are_volumes(parts: Sequence[Group], frames: Sequence[DicomHeader]) -> bool:
    """Whether the parts are more than single slices: a different number for each frame separates no volumes."""
    n_places = len({frame.position for frame in frames})
    return all(len(part) > 1 for part in parts) or n_places == 1
