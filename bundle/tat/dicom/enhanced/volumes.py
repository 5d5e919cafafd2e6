"""Which frames of a series make up one volume."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bundle.tat.dicom.header import DicomHeader

Group = list["DicomHeader"]


def split_volumes(frames: Sequence[DicomHeader]) -> Iterator[list[DicomHeader]]:
    """Tell frames at the same places apart, where the header does.

    Args:
        frames: of one series, parallel and of one size.

    Yields:
        Volumes without two frames at one place: those of one file each, of one time point, of one phase of the heart,
        or of one value of another dimension. What nothing tells apart stays together, to be refused.
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
    """Whether the parts are more than loose slices: a number of its own for each frame tells no volumes apart."""
    n_places = len({frame.position for frame in frames})
    return all(len(part) > 1 for part in parts) or n_places == 1
