"""Which scans to restore or to learn from."""

import json
import os
from pathlib import Path
from typing import Any

from bundle.tat.data.dicom_series import is_dicom_file
from bundle.tat.data.formats import case_name, is_nifti, is_nrrd
from bundle.tat.refusal import RefusedInputError

Item = dict[str, Any]


def find_scans(dataset_dir: str, section: str = "testing") -> list[Item]:
    """List the scans that a path stands for.

    Args:
        dataset_dir: a NIfTI, NRRD or DICOM file; a folder of NIfTI and NRRD files; a folder with one DICOM series; a
            study folder, all folders below which are searched for one DICOM series each; or a datalist JSON.
        section: the list to take from a datalist JSON.

    Returns:
        One dictionary with ``image`` (absolute path) for each scan, in the order of their names; items of a datalist
        keep their other entries.

    Raises:
        RefusedInputError: the path does not exist, holds no scan, mixes formats, or two scans would have one name.
    """
    # What looks like a number on the command line comes as one.
    path = Path(os.path.abspath(Path(str(dataset_dir)).expanduser()))  # noqa: PTH100 - drops `..`, keeps links
    if not path.exists():
        raise RefusedInputError(f"{path} does not exist: pass a scan, a folder of scans or a DICOM series")
    if path.suffix == ".json":
        items = read_datalist(str(path), section)
    elif path.is_file():
        items = [{"image": str(path)}]
    else:
        items = [{"image": str(scan)} for scan in _scans_in_folder(path)]
    if not items:
        raise RefusedInputError(f"section {section!r} of {path} is empty: there is no scan to restore")
    _check_names(items)
    return items


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


def _scans_in_folder(folder: Path) -> list[Path]:
    """NIfTI and NRRD files in a folder, or every folder with DICOM images from here down."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    volumes = [path for path in files if is_nifti(path) or is_nrrd(path)]
    others = (path for path in folder.rglob("*") if path.is_file() and path not in volumes)
    series = sorted({path.parent for path in others if is_dicom_file(path)})
    if volumes and series:
        raise RefusedInputError(f"{folder} holds NIfTI or NRRD files and DICOM: pass one of them")
    if not volumes and not series:
        raise RefusedInputError(f"{folder} holds no NIfTI, NRRD or DICOM scan")
    return volumes or series


def _check_names(items: list[Item]) -> None:
    """Refuse scans that would overwrite each other's result."""
    seen: dict[str, str] = {}
    for item in items:
        name = case_name(Path(item["image"]))
        if name in seen:
            raise RefusedInputError(f"{seen[name]} and {item['image']} are both named {name}: rename one")
        seen[name] = item["image"]
