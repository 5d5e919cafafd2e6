"""Which files are scans, and what a scan is called, told by their names."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from bundle.tat.refusal import RefusedInputError

NIFTI_SUFFIXES: Final = (".nii", ".nii.gz")
NRRD_SUFFIXES: Final = (".nrrd",)
DICOM_SUFFIXES: Final = (".dcm", ".ima")
PICKLE_SUFFIXES: Final = (".bin",)


def is_nifti(path: Path) -> bool:
    """Whether the name is that of a NIfTI file."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def is_nrrd(path: Path) -> bool:
    """Whether the name is that of an NRRD file."""
    return path.name.lower().endswith(NRRD_SUFFIXES)


def is_pickle(path: Path) -> bool:
    """Whether the name is that of a pickled slice of the authors' data."""
    return path.name.lower().endswith(PICKLE_SUFFIXES)


def case_name(path: Path) -> str:
    """The name of a scan: its file's name without the suffix, or its DICOM folder's name.

    Args:
        path: path of a file or folder; it need not exist.

    Returns:
        ``head`` for ``head.nii.gz``, ``1.2.840.1`` for a folder of that name.
    """
    suffixes = (*NIFTI_SUFFIXES, *NRRD_SUFFIXES, *DICOM_SUFFIXES, *PICKLE_SUFFIXES)
    for suffix in sorted(suffixes, key=len, reverse=True):
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return path.name[: -len(suffix)]
    return path.name


def name_cases(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give each scan of a list the name that its result goes by.

    Args:
        items: entries with ``image``, a path or the list of a series' files, and perhaps ``case``.

    Returns:
        The entries, each with its ``case``: the one that it has, or else the name of its file or folder.

    Raises:
        RefusedInputError: an entry has no ``image``, or two scans have one name, so that one result would
            overwrite the other.
    """
    named: list[dict[str, Any]] = []
    places: dict[str, Path] = {}
    for item in items:
        if not item.get("image"):
            raise RefusedInputError(f"the item {dict(item)} has no 'image': name the scan's file or folder there")
        place = _place(item["image"])
        case = str(item.get("case") or case_name(place))
        if case in places:
            raise RefusedInputError(f"{places[case]} and {place} are both named {case}: rename one")
        places[case] = place
        named.append({**item, "case": case})
    return named


def _place(image: Any) -> Path:
    """Where a scan lies: its path, or the folder of its first file."""
    return Path(str(image[0])).parent if isinstance(image, (list, tuple)) else Path(str(image))
