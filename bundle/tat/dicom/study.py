"""The DICOM series of a folder or a whole study: which are restored, and what is skipped and why."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tqdm import tqdm

from bundle.tat.dicom.geometry import share_plane
from bundle.tat.dicom.header import DicomHeader
from bundle.tat.dicom.open import read_dicom_header
from bundle.tat.refusal import RefusedInputError

_SECONDS_BEFORE_BAR: Final = 2.0
_N_REASONS: Final = 3


@dataclass(frozen=True)
class Series:
    """Images that make up one volume.

    Args:
        name: what its result is named after: its folder, with its Series Number where the folder holds several.
        files: images, in the order of their paths; and damaged files beside them, since each may be a slice that the
            series lacks: reading the series is refused then.
        folder: what holds them all.
        is_alone: whether the folder itself holds them, and neither it nor its subfolders any other image.
    """

    name: str
    files: tuple[Path, ...]
    folder: Path
    is_alone: bool


@dataclass(frozen=True)
class Skipped:
    """What cannot be restored.

    Args:
        name: its path from the folder that was searched.
        n_images: images; 0 for files that are none.
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


def list_study(folder: Path) -> StudyContents:
    """Find the DICOM series of a folder and its subfolders.

    Images are of one series if they share study, series, frame of reference, modality, matrix size, orientation and
    pixel spacing, whatever folders they are in; images without a Series Instance UID must share the folder too. Folders
    that hold the same places each are copies, time points or echoes, and a series each. Hidden files are left out, and
    links to folders are not followed.

    Args:
        folder: existing folder.

    Returns:
        A series is listed if one of its images may be restored; if others may not, or slices are missing, it is refused
        when it is read.
    """
    images, damaged, others = _look_into(folder)
    groups = group_series(images)
    series = _name_series([group for group in groups if any(image.reason is None for image in group)], images, damaged)
    beside = {file for one in series for file in one.files}
    skipped = [
        *_count_images(folder, (image for group in groups for image in group if image.path not in beside)),
        *_count_files(folder, [*others, *((file, fault) for file, fault in damaged.items() if file not in beside)]),
    ]
    return StudyContents(tuple(series), tuple(sorted(skipped, key=lambda item: (item.name, item.reason))))


def skipped_series(dataset_dir: object) -> list[Skipped]:
    """List what a run over a path leaves out.

    Args:
        dataset_dir: as for ``find_scans``.

    Returns:
        What is skipped beside the DICOM series of a folder; nothing for other inputs.
    """
    path = resolve_path(dataset_dir)
    contents = list_study(path) if path.is_dir() else StudyContents((), ())
    return list(contents.skipped) if contents.series else []


def resolve_path(text: object) -> Path:
    """The absolute path that a user means.

    Args:
        text: path; what looks like a number on the command line comes as one.
    """
    return Path(os.path.abspath(Path(str(text)).expanduser()))  # noqa: PTH100 - drops `..`, keeps links


def group_series(images: Iterable[DicomHeader]) -> list[list[DicomHeader]]:
    """Put images together that are of one series, see ``list_study``.

    Args:
        images: headers, whether they may be restored or not.

    Returns:
        The groups, in the order of their first images.
    """
    alike: defaultdict[object, list[list[DicomHeader]]] = defaultdict(list)
    for image in images:
        place = None if image.identity[1] else image.path.parent
        key = (image.identity, place, image.modality, image.rows, image.columns, image.not_an_image_reason)
        for group in alike[key]:
            if share_plane(group[0], image):
                group.append(image)
                break
        else:
            alike[key].append([image])
    return [part for groups in alike.values() for group in groups for part in _split_copies(group)]


def _split_copies(group: Sequence[DicomHeader]) -> Iterator[list[DicomHeader]]:
    """Tell images apart by their folders, if each folder has all places: they cannot be of one volume."""
    folders: defaultdict[Path, list[DicomHeader]] = defaultdict(list)
    for image in group:
        folders[image.path.parent].append(image)
    places = {frozenset(image.position for image in images) for images in folders.values()}
    yield from folders.values() if len(places) == 1 else [list(group)]


def _name_series(
    groups: Sequence[Sequence[DicomHeader]], images: Sequence[DicomHeader], damaged: Mapping[Path, str]
) -> list[Series]:
    """Name series after their folders, and say what else is in there."""
    located = [(_common_folder([image.path for image in group]), group) for group in groups]
    located.sort(key=lambda one: (one[0], one[1][0].series_number or 0, one[1][0].path))
    folders = [folder for folder, _ in located]
    paths = [str(image.path) for image in images]
    taken: set[tuple[Path, str]] = set()
    series = []
    for folder, group in located:
        stem = name = folder.name or "study"
        if folders.count(folder) > 1 and group[0].series_number is not None:
            stem = name = f"{stem}_{group[0].series_number}"
        n_more = 1
        while (folder, name) in taken:
            n_more += 1
            name = f"{stem}_{n_more}"
        taken.add((folder, name))
        parents = {image.path.parent for image in group}
        n_inside = sum(path.startswith(f"{folder}{os.sep}") for path in paths)
        files = [image.path for image in group] + [file for file in damaged if file.parent in parents]
        series.append(Series(name, tuple(sorted(files)), folder, parents == {folder} and n_inside == len(group)))
    return series


def _look_into(folder: Path) -> tuple[list[DicomHeader], dict[Path, str], list[tuple[Path, str]]]:
    """The images below a folder, the damaged files and what is wrong with them, and all else and why it is no image."""
    files, links = _walk(folder)
    images, damaged = [], {}
    others = [(link, "a link to a folder is not followed: pass it by itself") for link in links]
    for file in tqdm(files, desc="searching DICOM", unit="file", delay=_SECONDS_BEFORE_BAR, leave=False):
        try:
            header = read_dicom_header(file)
        except RefusedInputError as fault:
            damaged[file] = str(fault).removeprefix(f"{file} ")
            continue
        if header is not None and header.is_image:
            images.append(header)
        else:
            others.append((file, "not DICOM" if header is None else str(header.reason)))
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


def _walk(folder: Path) -> tuple[list[Path], list[Path]]:
    """Files below, and links to folders, which may lead in circles and are not followed.

    Hidden ones are left out: under such names, the systems of Apple keep notes beside files, and servers old copies.
    """
    files, links = [], []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links += [path for name in folders if (path := Path(parent, name)).is_symlink()]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(files), links


def _relative(folder: Path, files: Sequence[Path]) -> str:
    """The path of a file, or the folder of several, from the folder that was searched."""
    path = files[0] if len(files) == 1 else _common_folder(files)
    return folder.name if path == folder else str(path.relative_to(folder))


def _common_folder(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([file.parent for file in files]))
