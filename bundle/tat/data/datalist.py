"""Which scans to restore, or to train on."""

import itertools
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from monai.utils import ensure_tuple

from bundle.tat.data.case_names import name_apart
from bundle.tat.data.search import FolderContents, search_folder
from bundle.tat.dicom.open import looks_like_dicom
from bundle.tat.dicom.study import Series, Skipped, find_series, list_volumes
from bundle.tat.formats import case_name
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

Item = dict[str, Any]

# Entries of an item: the path of its scan, the name of its result, and the series that the search found.
IMAGE_KEY: Final = "image"
CASE_KEY: Final = "case"
SERIES_KEY: Final = "series"
# A phrase about the scan that is written into its result.
REMARK_KEY: Final = "source_remark"


class Found(NamedTuple):
    """What a path holds.

    Args:
        items: the scans, one dictionary each, in the order of their folders and names. ``image`` is the absolute path
            of a file, or of a folder that holds one DICOM series and no other DICOM. A series among others is the list
            of its files. Broken links and images of unknown formats are items too, and are refused when they are read.
            ``case`` is the name of the result. ``series`` is the ``Series`` of DICOM, with the headers of its files, so
            that they are not read again. Items of a datalist keep their entries.
        skipped: what is beside the scans of a folder and is not to be restored, or cannot be.
    """

    items: list[Item]
    skipped: list[Skipped]


def find_scans(dataset_dir: object, section: str = "testing") -> Found:
    """Search a path for scans, once: all later steps use what was found.

    Args:
        dataset_dir: the file of a scan, a folder or a datalist JSON. The folder holds such files or DICOM series, in
            itself or below it at any depth, see ``search_folder``. A name such as ``2026`` may come as a number.
        section: the list to take from a datalist JSON.

    Returns:
        What is there. The log names each series that is skipped.

    Raises:
        RefusedInputError: the path does not exist, holds no scan, or holds both DICOM and scans in files of their own;
            or a datalist gives two scans one name.
    """
    path = resolve_path(dataset_dir)
    if not path.exists():
        raise RefusedInputError(f"{path} does not exist: pass a scan, a folder of scans or a DICOM series")
    skipped: list[Skipped] = []
    if path.suffix == ".json":
        items = [_with_series(item) for item in read_datalist(str(path), section)]
    elif path.is_file():
        items = _scans_in_file(path)
    else:
        items, skipped = _scans_in_folder(path)
    if not items:
        raise RefusedInputError(f"section {section!r} of {path} is empty: pass --section with another section")
    return Found(name_cases(items), skipped)


def name_cases(items: Iterable[Mapping[str, Any]]) -> list[Item]:
    """Give each scan of a list the name of its result.

    Args:
        items: entries with ``image``, a path or the list of a series' files, and perhaps ``case``.

    Returns:
        The entries, each with its ``case``. Without one, it is the name of the file or folder. Folders above it are
        added until the name differs from the others, see ``name_apart``. Where names are still equal, as for a copy in
        another format beside the scan, the later one gets a number.

    Raises:
        RefusedInputError: an entry has no ``image``, or two entries have one ``case``, so that one result would
            overwrite the other.
    """
    entries = [dict(item) for item in items]
    for item in entries:
        if not item.get(IMAGE_KEY):
            raise RefusedInputError(f"the item {item} has no 'image': name the scan's file or folder there")
    places: dict[str, str] = {}
    unnamed = []
    for item in entries:
        if not item.get(CASE_KEY):
            unnamed.append(item)
            continue
        case, place = str(item[CASE_KEY]), _place(item)
        if case in places:
            raise RefusedInputError(f"{places[case]} and {place} are both named {case}: rename one")
        places[case] = place
        item[CASE_KEY] = case
    for item, name in zip(unnamed, name_apart([_path_of_name(item) for item in unnamed]), strict=True):
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        item[CASE_KEY] = case = next(case for case in itertools.chain([name], numbered) if case not in places)
        places[case] = _place(item)
    return entries


def resolve_path(text: object) -> Path:
    """The absolute path of a user's text.

    Args:
        text: path, or the number that the command line has read it as.
    """
    return Path(os.path.abspath(Path(str(text)).expanduser()))  # noqa: PTH100 - drops `..`, keeps links


def series_of(item: Mapping[str, Any]) -> Series | None:
    """The DICOM series of a scan: what the search found, or what is found now for an item from elsewhere.

    Args:
        item: entry of a datalist.

    Returns:
        The series; ``None`` for another format.

    Raises:
        RefusedInputError: the path does not stand for one series, see ``find_series``.
    """
    if SERIES_KEY in item:
        series: Series = item[SERIES_KEY]
        return series
    paths = [Path(str(path)) for path in ensure_tuple(item[IMAGE_KEY])]
    is_dicom = len(paths) > 1 or paths[0].is_dir() or (paths[0].is_file() and looks_like_dicom(paths[0]))
    return find_series(paths) if is_dicom else None


def find_scan_paths(folder: Path) -> dict[str, Path]:
    """Find scans that have a file or a folder of their own, as pairs and lists to train on need.

    Args:
        folder: files of scans, or folders with one DICOM series each.

    Returns:
        Name of the case -> absolute path, in the order of the paths.

    Raises:
        RefusedInputError: as ``find_scans``, or a folder holds several DICOM series.
    """
    items = find_scans(folder).items
    for item in items:
        if isinstance(item[IMAGE_KEY], list):
            raise RefusedInputError(f"{folder} holds several DICOM series in one folder: put each in its own")
    return {item[CASE_KEY]: Path(item[IMAGE_KEY]) for item in items}


def read_datalist(datalist_file: str, section: str, *, keys: Sequence[str] = (IMAGE_KEY,)) -> list[Item]:
    """Read one section of a MONAI datalist.

    Args:
        datalist_file: JSON of the form ``{"training": [{"image": ..., "label": ..., "modality": ...}], ...}``; paths
            are relative to its folder. ``image`` is the degraded scan, ``label`` the clean one.
        section: ``training``, ``validation`` or ``testing``.
        keys: what each entry must have; ``("label",)`` also accepts a list of clean scans alone.

    Returns:
        The entries, with absolute paths.

    Raises:
        RefusedInputError: the file cannot be read, lacks the section, or names files that do not exist (all listed).
    """
    path = Path(datalist_file).expanduser().absolute()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = [dict(entry) for entry in content[section]]
    except (OSError, ValueError, TypeError) as error:
        raise RefusedInputError(f"cannot read the datalist {path}: {error}; pass a JSON file of sections") from error
    except KeyError:
        raise RefusedInputError(
            f"the datalist {path} has no section {section!r}: pass one of {sorted(content)}"
        ) from None
    for entry in entries:
        entry.update({key: str(path.parent / entry[key]) for key in ("image", "label") if key in entry})
    for key in keys:
        if any(key not in entry for entry in entries):
            raise RefusedInputError(
                f"the datalist {path} has an entry without {key!r} in section {section!r}: add {key!r}"
            )
    missing = [entry[key] for entry in entries for key in ("image", "label") if not Path(entry.get(key, path)).exists()]
    if missing:
        raise RefusedInputError(
            f"{len(missing)} files of the datalist {path} do not exist: {', '.join(missing)}; correct their paths, "
            "which are relative to the datalist"
        )
    return entries


def _scans_in_file(path: Path) -> list[Item]:
    """The scan of a file, or the volumes of an Enhanced DICOM object; one that cannot be read is refused later."""
    try:
        volumes = list_volumes(path) if looks_like_dicom(path) else []
    except RefusedInputError:
        volumes = []
    if len(volumes) > 1:
        return [_item_of(volume) for volume in volumes]
    known = {SERIES_KEY: volumes[0]} if volumes else {}
    return [{IMAGE_KEY: str(path), **known}]


def _scans_in_folder(folder: Path) -> tuple[list[Item], list[Skipped]]:
    """The scans from a folder down and what is skipped beside them."""
    contents = search_folder(folder)
    contents.check_one_kind(folder)
    items = list_items(contents)
    if not items:
        raise RefusedInputError(f"{folder} holds no NIfTI, NRRD or DICOM scan that can be restored{contents.reasons}")
    for item in contents.skipped:
        logger.warning("skipped %s (images: %d): %s", item.name, item.n_images, item.reason)
    return items, list(contents.skipped)


def list_items(contents: FolderContents) -> list[Item]:
    """Make entries of a datalist of what a folder holds.

    Args:
        contents: what a search found.

    Returns:
        Items without ``case``. The ``image`` of a series is its folder if the folder holds nothing else of DICOM: every
        program that reads a list can read a folder. Otherwise it is the list of the files.
    """
    items: list[Item] = [{IMAGE_KEY: str(path)} for path in contents.volumes]
    return items + [_item_of(series) for series in contents.series]


def _item_of(series: Series) -> Item:
    """An entry of a datalist for a series that was found."""
    image = str(series.folder) if series.is_alone else [str(file) for file in series.files]
    return {IMAGE_KEY: image, SERIES_KEY: series}


def _with_series(item: Item) -> Item:
    """An item with its DICOM series, if it has one that can be read; otherwise it is refused when it is read."""
    try:
        series = series_of(item)
    except RefusedInputError:
        return item
    return item if series is None else {**item, SERIES_KEY: series}


def _place(item: Mapping[str, Any]) -> str:
    """Where a scan lies: its path, or the folder of its first file."""
    return str(Path(item[IMAGE_KEY][0]).parent) if isinstance(item[IMAGE_KEY], list) else str(item[IMAGE_KEY])


def _path_of_name(item: Mapping[str, Any]) -> Path:
    """What a scan without a name is named after: its path, the last part of which is the name by itself."""
    place = resolve_path(_place(item))
    series: Series | None = item.get(SERIES_KEY)
    if series is None or place in series.files:
        return place.with_name(case_name(place))
    return series.folder.parent / series.name
