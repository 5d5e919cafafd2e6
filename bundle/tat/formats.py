"""Which files are scans, and what a scan is called, told by their names."""

from pathlib import Path
from typing import Final

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
