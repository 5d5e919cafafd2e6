"""The DICOM series of a folder or a whole study: which are restored, which are skipped, and why."""

from __future__ import annotations

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tqdm import tqdm

from bundle.tat.dicom.geometry import order_slices
from bundle.tat.dicom.header import DicomHeader
from bundle.tat.dicom.open import read_dicom_headers
from bundle.tat.dicom.sorting.grouping import Volume, group_series
from bundle.tat.refusal import RefusedInputError
from bundle.tat.walk import Walked, walk

logger = logging.getLogger(__name__)

_SECONDS_BEFORE_BAR: Final = 2.0
_N_REASONS: Final = 3


@dataclass(frozen=True)
class Series:
    """Images that make up one volume.

    Args:
        name: the name of its result: that of its folder, with its Series Number where the folder holds several.
        headers: of its images, in the order of their paths.
        folder: the deepest folder that holds them all.
        is_alone: whether the folder itself holds them, and neither it nor its subfolders hold other images.
        damaged: files beside them that cannot be read, and the fault of each. A damaged file may be a slice of the
            series, so that reading the series is refused.
        assumption: what was assumed to find it, as a sentence; empty where its UIDs are enough.
    """

    name: str
    headers: tuple[DicomHeader, ...]
    folder: Path
    is_alone: bool
    damaged: Mapping[Path, str] = field(default_factory=dict)
    assumption: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files, damaged ones included, in the order of their paths."""
        return tuple(sorted({*(header.path for header in self.headers), *self.damaged}))

    @property
    def place(self) -> Path:
        """Its path in messages: its only file, or the folder of its files."""
        return self.files[0] if len(self.files) == 1 else self.folder

    def slices(self, *, allow_uneven: bool = False) -> list[DicomHeader]:
        """Its headers in the order of the slices, each of which may be restored, in one unit.

        Args:
            allow_uneven: accept slices whose distances vary.

        Raises:
            RefusedInputError: a file is damaged or cannot be restored, units differ, or slices are missing, duplicate,
                not evenly spaced or out of line.
        """
        for file, fault in self.damaged.items():
            raise RefusedInputError(f"{file} {fault}")
        for header in self.headers:
            if header.reason:
                raise RefusedInputError(f"{header.path} cannot be restored: {header.reason}")
        if len({header.unit for header in self.headers}) > 1:
            raise RefusedInputError(f"{self.place} holds images in several units (rescale, Units): pass one series")
        return order_slices(self.headers, self.place, allow_uneven=allow_uneven)


@dataclass(frozen=True)
class Skipped:
    """What cannot be restored.

    Args:
        name: its path from the folder that was searched.
        n_images: number of images; 0 for files that are no images.
        reason: why it is skipped.
    """

    name: str
    n_images: int
    reason: str


@dataclass(frozen=True)
class StudyContents:
    """What a folder holds.

    Args:
        series: to be restored, in the order of their folders and numbers.
        skipped: the rest, in the order of their paths.
    """

    series: tuple[Series, ...]
    skipped: tuple[Skipped, ...]

    @property
    def reasons(self) -> str:
        """Why nothing can be restored, as the end of a sentence: the first few reasons."""
        return "".join(f"; {item.name}: {item.reason}" for item in self.skipped[:_N_REASONS])


def list_study(folder: Path, walked: Walked | None = None) -> StudyContents:
    """Find the DICOM series of a folder and its subfolders.

    Images are of one series if they share these values, also in different folders: study, series, frame of reference,
    Series Number, modality, matrix size, orientation and pixel spacing. Without a Series Instance UID they must share
    the folder too.

    Several images at one place are separated by their folders, if each folder holds the same places. Otherwise they are
    separated by time point, acquisition, echo and the other ``MARKS``. Stacks that lie between each other's slices are
    separated in the same way. Single images of one folder, each with its own UIDs, are one series if they make up an
    even stack. See ``walk`` for the files and folders that are left out.

    Args:
        folder: existing folder.
        walked: the files of it to search; ``None`` walks it.

    Returns:
        A series is listed if one of its images may be restored. If others may not, or slices are missing, it is refused
        when it is read.
    """
    images, damaged, others = _look_into(walk(folder) if walked is None else walked)
    volumes = group_series(images)
    to_restore = [volume for volume in volumes if any(image.reason is None for image in volume.headers)]
    series = _name_series(to_restore, images, damaged)
    beside = {file for one in series for file in one.files}
    skipped = [
        *_count_images(folder, (image for one in volumes if one not in to_restore for image in one.headers)),
        *_count_files(folder, [*others, *((file, fault) for file, fault in damaged.items() if file not in beside)]),
    ]
    return StudyContents(tuple(series), tuple(sorted(skipped, key=lambda item: (item.name, item.reason))))


def find_series(paths: Sequence[Path]) -> Series:
    """Find the only series of a path.

    Args:
        paths: a folder that holds one series, or its file or files.

    Returns:
        The series. Other images of the folder are named in the log.

    Raises:
        RefusedInputError: a folder with none or several, files of several series, or files that are no DICOM.
    """
    first, *more = paths
    if first.is_dir():
        return _series_of_folder(first)
    if not more:
        volumes = list_volumes(first)
        if len(volumes) > 1:
            raise RefusedInputError(f"{first} holds {len(volumes)} volumes: pass its folder to restore all of them")
        return volumes[0]
    place = first.parent
    headers = [header for path in paths for header in _read_some(path)]
    found = group_series(headers)
    if len(found) > 1:
        raise RefusedInputError(f"{place} holds {len(found)} series: pass the files of one")
    return Series(place.name, tuple(headers), place, is_alone=False, assumption=found[0].assumption)


def list_volumes(file: Path) -> list[Series]:
    """Find the volumes of one file: an Enhanced object may hold several, and also frames that are no slices.

    Args:
        file: existing file.

    Returns:
        One or more. If no frame may be restored, they are one volume, which is refused when it is read.

    Raises:
        RefusedInputError: the file is no DICOM, or damaged.
    """
    headers = _read_some(file)
    volumes = [one for one in group_series(headers) if any(header.reason is None for header in one.headers)]
    if len(volumes) < 2:
        return [Series(file.name, volumes[0].headers if volumes else headers, file.parent, is_alone=False)]
    return [
        Series(f"{file.stem}_{number}", volume.headers, file.parent, is_alone=False)
        for number, volume in enumerate(volumes, start=1)
    ]


def _read_some(path: Path) -> tuple[DicomHeader, ...]:
    """The headers of a file that must be DICOM."""
    headers = read_dicom_headers(path)
    if not headers:
        raise RefusedInputError(f"{path} is not DICOM: pass a DICOM file or folder")
    return headers


def _series_of_folder(folder: Path) -> Series:
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
    return contents.series[0]


def _name_series(volumes: Sequence[Volume], images: Sequence[DicomHeader], damaged: Mapping[Path, str]) -> list[Series]:
    """Name series after their folders, with the damaged files beside them."""
    located = [(_common_folder([image.path for image in volume.headers]), volume) for volume in volumes]
    located.sort(key=lambda one: (one[0], one[1].headers[0].series_number or 0, one[1].label, one[1].headers[0].path))
    numbers: defaultdict[Path, set[Hashable]] = defaultdict(set)
    for folder, volume in located:
        numbers[folder].add((volume.headers[0].identity, volume.headers[0].series_number))
    n_below = _count_below(image.path for image in images)
    taken: set[tuple[Path, str]] = set()
    series = []
    for folder, volume in located:
        number = volume.headers[0].series_number
        parts = [folder.name or "study", str(number) if len(numbers[folder]) > 1 and number is not None else ""]
        stem = name = "_".join(filter(None, [*parts, volume.label]))
        n_more = 1
        while (folder, name) in taken:
            n_more += 1
            name = f"{stem}_{n_more}"
        taken.add((folder, name))
        parents = {image.path.parent for image in volume.headers}
        is_alone = parents == {folder} and n_below[folder] == len(volume.headers)
        beside = {file: fault for file, fault in damaged.items() if file.parent in parents}
        headers = tuple(sorted(volume.headers, key=lambda image: image.path))
        series.append(Series(name, headers, folder, is_alone, beside, volume.assumption))
    return series


def _count_below(files: Iterable[Path]) -> Counter[Path]:
    """How many files each folder holds, in itself and in folders below it."""
    in_folders = Counter(file.parent for file in files)
    below: Counter[Path] = Counter()
    for folder, n_files in in_folders.items():
        for holder in (folder, *folder.parents):
            below[holder] += n_files
    return below


def _look_into(walked: Walked) -> tuple[list[DicomHeader], dict[Path, str], list[tuple[Path, str]]]:
    """The images of a walk, the damaged files with their faults, and the other files with the reason."""
    files = sorted([*walked.files, *walked.dangling])
    images: list[DicomHeader] = []
    damaged: dict[Path, str] = {}
    others = list(walked.left_out)
    for file in tqdm(files, desc="searching DICOM", unit="file", delay=_SECONDS_BEFORE_BAR, leave=False, disable=None):
        try:
            headers = read_dicom_headers(file)
        except RefusedInputError as fault:
            damaged[file] = str(fault).removeprefix(f"{file} ")
            continue
        if headers and headers[0].is_image:
            images.extend(headers)
        else:
            others.append((file, str(headers[0].reason) if headers else "not DICOM"))
    return images, damaged, others


def _count_images(folder: Path, images: Iterable[DicomHeader]) -> Iterator[Skipped]:
    """One entry for all images of a series that are skipped for one reason."""
    alike: defaultdict[object, list[DicomHeader]] = defaultdict(list)
    for image in images:
        alike[image.identity if image.identity[1] else image.path.parent, image.reason].append(image)
    for together in alike.values():
        paths = [image.path for image in together]
        yield Skipped(_relative(folder, paths), len(together), str(together[0].reason))


def _count_files(folder: Path, files: Iterable[tuple[Path, str]]) -> Iterator[Skipped]:
    """One entry for all files of a folder that are skipped for one reason."""
    alike: defaultdict[tuple[Path, str], list[Path]] = defaultdict(list)
    for file, reason in files:
        alike[file.parent, reason].append(file)
    for (_, reason), together in alike.items():
        count = f", {len(together)} files" if len(together) > 1 else ""
        yield Skipped(_relative(folder, together), 0, f"{reason}{count}")


def _relative(folder: Path, files: Sequence[Path]) -> str:
    """The path of a file, or the folder of several, from the folder that was searched."""
    path = files[0] if len(set(files)) == 1 else _common_folder(files)
    return folder.name if path == folder else str(path.relative_to(folder))


def _common_folder(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([file.parent for file in files]))
