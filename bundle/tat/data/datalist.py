"""Which scans to restore or to learn from."""

import json
import logging
from pathlib import Path
from typing import Any

from bundle.tat.dicom.study import Series, list_study, resolve_path
from bundle.tat.formats import case_name, is_nifti, is_nrrd
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

Item = dict[str, Any]


def find_scans(dataset_dir: str, section: str = "testing") -> list[Item]:
    """List the scans that a path stands for.

    Args:
        dataset_dir: a NIfTI, NRRD or DICOM file; a folder of NIfTI and NRRD files; a folder with DICOM series, in
            itself or in folders below it at any depth; or a datalist JSON.
        section: the list to take from a datalist JSON.

    Returns:
        One dictionary for each scan, in the order of their folders and names. ``image`` is an absolute path: of a file,
        or of a folder that holds one DICOM series and nothing else of DICOM; a series among others is the list of its
        files. ``case`` is what the result is named after. Items of a datalist keep their other entries. DICOM series
        that cannot be restored are no items: the log names each, and ``skipped_series`` lists them.

    Raises:
        RefusedInputError: the path does not exist, holds no scan, mixes formats, or two scans would have one name.
    """
    path = resolve_path(dataset_dir)
    if not path.exists():
        raise RefusedInputError(f"{path} does not exist: pass a scan, a folder of scans or a DICOM series")
    if path.suffix == ".json":
        items = read_datalist(str(path), section)
    elif path.is_file():
        items = [{"image": str(path)}]
    else:
        items = _scans_in_folder(path)
    if not items:
        raise RefusedInputError(f"section {section!r} of {path} is empty: there is no scan to restore")
    items = [{"case": case_name(Path(str(item["image"]))), **item} for item in items]
    _check_names(items)
    return items


def find_scan_paths(folder: Path) -> list[Path]:
    """Find scans that have a file or a folder of their own, as pairs and lists to train on need.

    Args:
        folder: NIfTI and NRRD files, or folders with one DICOM series each.

    Returns:
        Absolute paths, in the order of their names.

    Raises:
        RefusedInputError: as ``find_scans``, or a folder holds several DICOM series.
    """
    items = find_scans(str(folder))
    for item in items:
        if isinstance(item["image"], list):
            raise RefusedInputError(f"{folder} holds several DICOM series in one folder: put each in its own")
    return [Path(item["image"]) for item in items]


def read_datalist(datalist_file: str, section: str) -> list[Item]:
    """Read one section of a MONAI datalist.

    Args:
        datalist_file: JSON of the form ``{"training": [{"image": ..., "label": ..., "modality": ...}], ...}``; paths
            are relative to its folder. ``image`` is the degraded scan, ``label`` the clean one.
        section: ``training``, ``validation`` or ``testing``.

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
        raise RefusedInputError(f"cannot read the datalist {path}: {error}") from error
    except KeyError:
        raise RefusedInputError(f"the datalist {path} has no section {section!r}, only {sorted(content)}") from None
    for entry in entries:
        entry.update({key: str(path.parent / entry[key]) for key in ("image", "label") if key in entry})
    if any("image" not in entry for entry in entries):
        raise RefusedInputError(f"the datalist {path} has an entry without 'image' in section {section!r}")
    missing = [entry[key] for entry in entries for key in ("image", "label") if not Path(entry.get(key, path)).exists()]
    if missing:
        raise RefusedInputError(f"{len(missing)} files of the datalist {path} do not exist: {', '.join(missing)}")
    return entries


def _scans_in_folder(folder: Path) -> list[Item]:
    """NIfTI and NRRD files in a folder, or the DICOM series from here down."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    volumes = [path for path in files if is_nifti(path) or is_nrrd(path)]
    contents = list_study(folder)
    if volumes and contents.series:
        raise RefusedInputError(f"{folder} holds NIfTI or NRRD files and DICOM: pass one of them")
    if volumes:
        return [{"image": str(path)} for path in volumes]
    if not contents.series:
        raise RefusedInputError(f"{folder} holds no NIfTI, NRRD or DICOM scan that can be restored{contents.reasons}")
    for item in contents.skipped:
        logger.warning("skipped %s (images: %d): %s", item.name, item.n_images, item.reason)
    return [_series_item(series) for series in contents.series]


def _series_item(series: Series) -> Item:
    """A folder where it stands for the series alone, which every program that reads a list knows what to do with."""
    image = str(series.folder) if series.is_alone else [str(file) for file in series.files]
    return {"image": image, "case": series.name}


def _check_names(items: list[Item]) -> None:
    """Refuse scans that would overwrite each other's result."""
    seen: dict[str, object] = {}
    for item in items:
        if item["case"] in seen:
            raise RefusedInputError(
                f"{seen[item['case']]} and {_place(item)} are both named {item['case']}: rename one"
            )
        seen[item["case"]] = _place(item)


def _place(item: Item) -> str:
    """Where a scan lies: its path, or the folder of its first file."""
    return str(Path(item["image"][0]).parent) if isinstance(item["image"], list) else str(item["image"])
