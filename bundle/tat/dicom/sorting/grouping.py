"""Which images are of one volume: by the UIDs of their series, or by other elements where UIDs are not enough."""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from bundle.tat.dicom.enhanced.volumes import split_volumes
from bundle.tat.dicom.geometry import SAME_PLACE_TOLERANCE, is_even, share_plane, slice_normal
from bundle.tat.dicom.header import DicomHeader
from bundle.tat.dicom.sorting.marks import MARKS, NUMBERS, TIMES

logger = logging.getLogger(__name__)

# Fewer images with different UIDs are not joined: two localizers are no volume.
LEAST_JOINED: Final = 3
# Slices touch if their distance is at most this part of their thickness: then they make up a volume by themselves.
TOUCHING: Final = 1.5
# Each of several volumes at one place has at least this part of the places: a repeated slice is no volume.
LEAST_PART: Final = 0.5

_INDICES: Final = MappingProxyType({keyword: index for index, keyword in enumerate(MARKS)})

Group = list[DicomHeader]


@dataclass(frozen=True)
class Volume:
    """Images of one volume.

    Args:
        headers: of its images.
        label: distinguishes it from others of its series, for its name; empty for the only one.
        assumption: what was assumed where UIDs are not enough, as a sentence; empty where they are.
    """

    headers: tuple[DicomHeader, ...]
    label: str = ""
    assumption: str = ""


def group_series(images: Iterable[DicomHeader]) -> list[Volume]:
    """Put images together that are of one volume, see ``list_study``.

    Args:
        images: headers, whether they may be restored or not.

    Returns:
        The volumes, in the order of their first images.
    """
    volumes = []
    for assumption, group in _join(_alike(images, _series_key)):
        volumes += [Volume(tuple(part), label, assumption) for label, part in _split(group)]
    return volumes


def _series_key(image: DicomHeader) -> Hashable:
    """What images of one series share; those without a Series Instance UID must share the folder too."""
    place = None if image.identity[1] else image.path.parent
    return image.identity, place, image.series_number, _kind(image)


def _kind(image: DicomHeader) -> Hashable:
    return image.modality, image.rows, image.columns, image.not_an_image_reason, image.volume


def _alike(images: Iterable[DicomHeader], key: Callable[[DicomHeader], Hashable]) -> list[Group]:
    """Groups of parallel images that share a key, in the order of their first images."""
    alike: defaultdict[Hashable, list[Group]] = defaultdict(list)
    for image in images:
        groups = alike[key(image)]
        for group in groups:
            if share_plane(group[0], image):
                group.append(image)
                break
        else:
            groups.append([image])
    return [group for groups in alike.values() for group in groups]


def _join(groups: Sequence[Group]) -> Iterator[tuple[str, Group]]:
    """Put images together that have different UIDs, with the assumption; other groups stay as they are."""
    waiting = list(groups)
    for name, key in (
        ("Frame of Reference UID (0020,0052)", _key_without_frame),
        ("Series Instance UID (0020,000E)", _key_without_series),
    ):
        joined, waiting = _join_by(waiting, key)
        for group in joined:
            yield f"each of {len(group)} images has a different {name}: they were assumed to be one series", group
    yield from (("", group) for group in waiting)


def _key_without_frame(image: DicomHeader) -> Hashable:
    return image.identity[:2], image.path.parent, image.series_number, _kind(image)


def _key_without_series(image: DicomHeader) -> Hashable:
    return image.path.parent, image.series_number, image.made, _mark(image, "SeriesDescription"), _kind(image)


def _join_by(groups: Sequence[Group], key: Callable[[DicomHeader], Hashable]) -> tuple[list[Group], list[Group]]:
    """Groups that single images were joined to, and the groups that are left."""
    joined = []
    singles = _alike((group[0] for group in groups if len(group) == 1 and group[0].reason is None), key)
    crowded = Counter(key(group[0]) for group in groups if len(group) > 1)
    for together in singles:
        if len(together) < LEAST_JOINED or crowded[key(together[0])]:
            continue
        if is_even(together):
            joined.append(together)
        else:
            logger.warning(
                "%d images in %s have different UIDs and are not evenly spaced, so that each is read as a series. If "
                "they are one series, give them one Series Instance UID and one Frame of Reference UID",
                len(together),
                together[0].path.parent,
            )
    taken = {(image.path, image.frame) for group in joined for image in group}
    return joined, [group for group in groups if (group[0].path, group[0].frame) not in taken]


def _split(group: Group) -> Iterator[tuple[str, Group]]:
    """Volumes of one series, each with a label that distinguishes it from the others."""
    if any(image.reason for image in group) or len(group) < 2:
        yield "", group
        return
    if group[0].frame is not None:
        yield from (("", frames) for frames in split_volumes(group))
        return
    places = _places(group)
    if len(places) == len(group):
        yield from _split_shifted(group)
    else:
        yield from _split_crowded(group, places)


def _places(group: Group) -> list[Group]:
    """The images at each place, in the order of the places."""
    normal = slice_normal(group[0])
    ordered = sorted(group, key=lambda image: float(np.asarray(image.position) @ normal))
    places: list[Group] = []
    for image in ordered:
        if places and math.dist(places[-1][0].position, image.position) <= SAME_PLACE_TOLERANCE:
            places[-1].append(image)
        else:
            places.append([image])
    return places


def _split_crowded(group: Group, places: Sequence[Group]) -> Iterator[tuple[str, Group]]:
    """Separate images at one place: by their folders, by a mark, by several, or by their order in time."""
    folders = _parts(group, lambda image: str(image.path.parent))
    if len(folders) > 1 and len({frozenset(image.position for image in part) for part in folders.values()}) == 1:
        for part in folders.values():
            yield from _split(part)
        return
    helpful = list(_helpful_marks(group, places))
    complete = (one for one in helpful if all(len(_places(part)) == len(part) for part in one[1].values()))
    keyword, parts = next(complete, helpful[0] if helpful else ("", {}))
    for label, part in _named(keyword, parts):
        for inner, volume in _split(part):
            yield "_".join(filter(None, (label, inner))), volume
    if not helpful:
        yield from _split_by_rank(group, places)


def _helpful_marks(group: Group, places: Sequence[Group]) -> Iterator[tuple[str, dict[str, Group]]]:
    """Marks that separate the images of every place with several, and have no more values than a place has images."""
    most = max(len(place) for place in places)
    for keyword in MARKS:
        parts = _parts_by_mark(group, keyword)
        if 1 < len(parts) <= most and _tells(parts, places):
            yield keyword, parts


def _tells(parts: dict[str, Group], places: Sequence[Group]) -> bool:
    """Whether parts divide the images of every crowded place, and each is most of a volume."""
    part_of = {image.path: value for value, part in parts.items() for image in part}
    divided = all(len(place) == 1 or len({part_of[image.path] for image in place}) > 1 for place in places)
    return divided and all(len(_places(part)) >= LEAST_PART * len(places) for part in parts.values())


def _split_by_rank(group: Group, places: Sequence[Group]) -> Iterator[tuple[str, Group]]:
    """Separate images that were measured one after the other at each place: each slice has its own times."""
    n_times = len(places[0])
    for keyword in TIMES:
        times = [[_number(_mark(image, keyword)) for image in place] for place in places]
        if all(len(set(one)) == n_times == len(one) and not any(math.isnan(t) for t in one) for one in times):
            ordered = [[place[where] for where in np.argsort(one)] for place, one in zip(places, times, strict=True)]
            yield from ((f"{MARKS[keyword]}{rank + 1}", [place[rank] for place in ordered]) for rank in range(n_times))
            return
    yield "", group


def _split_shifted(group: Group) -> Iterator[tuple[str, Group]]:
    """Separate volumes that lie between each other's slices, as phases of a breathing patient do."""
    for keyword in MARKS:
        parts = _parts_by_mark(group, keyword)
        if len(parts) > 1 and all(_is_volume(part) for part in parts.values()) and _overlap(list(parts.values())):
            yield from _named(keyword, parts)
            return
    yield "", group


def _is_volume(part: Group) -> bool:
    """Whether images are an even stack of slices that touch. The slices of half an interleaved stack do not."""
    if len(part) < LEAST_JOINED or not is_even(part):
        return False
    first, last = _span(part)
    return (last - first) / (len(part) - 1) <= TOUCHING * part[0].thickness


def _overlap(parts: Sequence[Group]) -> bool:
    """Whether all parts lie at about the same places."""
    spans = [_span(part) for part in parts]
    common = min(last for _, last in spans) - max(first for first, _ in spans)
    return common >= LEAST_PART * max(last - first for first, last in spans)


def _span(part: Group) -> tuple[float, float]:
    """Where images begin and end along the normal [mm]."""
    normal = slice_normal(part[0])
    along = [float(np.asarray(image.position) @ normal) for image in part]
    return min(along), max(along)


def _parts(group: Group, mark: Callable[[DicomHeader], str]) -> dict[str, Group]:
    """Images that share a mark."""
    parts: defaultdict[str, Group] = defaultdict(list)
    for image in group:
        parts[mark(image)].append(image)
    return parts


def _parts_by_mark(group: Group, keyword: str) -> dict[str, Group]:
    """Images that share one of ``MARKS``."""
    return _parts(group, lambda image: _mark(image, keyword))


def _mark(image: DicomHeader, keyword: str) -> str:
    """The value of one of ``MARKS``."""
    return image.marks[_INDICES[keyword]] if image.marks else ""


def _named(keyword: str, parts: dict[str, Group]) -> Iterator[tuple[str, Group]]:
    """Parts in the order of one of ``MARKS``, each labelled with its number, or else with its rank."""
    values = sorted(parts, key=_order)
    are_numbers = keyword in NUMBERS and all(value.isdigit() for value in values)
    for rank, value in enumerate(values):
        yield f"{MARKS[keyword]}{int(value) if are_numbers else rank + 1}", parts[value]


def _order(value: str) -> tuple[bool, float, str]:
    """Key that sorts numbers by their value, and before other texts."""
    number = _number(value)
    return math.isnan(number), 0.0 if math.isnan(number) else number, value


def _number(text: str) -> float:
    """A number, or a time as one, to order by; ``nan`` for anything else."""
    try:
        return float(text)
    except ValueError:
        return math.nan
