"""Which files are scans, and what a scan is called: both from the names of files alone."""

from pathlib import Path
from typing import Final

NIFTI_SUFFIXES: Final = (".nii", ".nii.gz")
# NIfTI or Analyze 7.5 as two files. The header stands for both.
PAIR_SUFFIXES: Final = (".hdr", ".hdr.gz", ".img", ".img.gz")
NRRD_SUFFIXES: Final = (".nrrd", ".nhdr")
META_IMAGE_SUFFIXES: Final = (".mha", ".mhd")
MGH_SUFFIXES: Final = (".mgz", ".mgh")
DICOM_SUFFIXES: Final = (".dcm", ".ima")
PICKLE_SUFFIXES: Final = (".bin",)
# A volume in a file of its own, which DICOM is not; in words: ``FORMATS``.
VOLUME_SUFFIXES: Final = (*NIFTI_SUFFIXES, *PAIR_SUFFIXES, *NRRD_SUFFIXES, *META_IMAGE_SUFFIXES, *MGH_SUFFIXES)
FORMATS: Final = (
    "NIfTI (.nii, .nii.gz, .hdr with .img), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd), FreeSurfer (.mgz, .mgh) "
    "or DICOM"
)

# Suffixes of a header and of the file beside it that holds its voxels.
_PARTS: Final = (
    (".hdr", ".img"),
    (".hdr.gz", ".img.gz"),
    (".mhd", ".raw"),
    (".mhd", ".zraw"),
    (".nhdr", ".raw"),
    (".nhdr", ".raw.gz"),
)


def is_nifti(path: Path) -> bool:
    """Whether the name is that of a NIfTI file; for a pair of files see ``is_pair``."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def is_pair(path: Path) -> bool:
    """Whether the name is that of a header with its voxels beside it: NIfTI or Analyze 7.5, ``.hdr`` and ``.img``."""
    return path.name.lower().endswith(PAIR_SUFFIXES)


def is_nrrd(path: Path) -> bool:
    """Whether the name is that of an NRRD file or of an NRRD header."""
    return path.name.lower().endswith(NRRD_SUFFIXES)


def is_meta_image(path: Path) -> bool:
    """Whether the name is that of a MetaImage file or header."""
    return path.name.lower().endswith(META_IMAGE_SUFFIXES)


def is_mgh(path: Path) -> bool:
    """Whether the name is that of a FreeSurfer volume."""
    return path.name.lower().endswith(MGH_SUFFIXES)


def is_pickle(path: Path) -> bool:
    """Whether the name is that of a pickled slice of the authors' data."""
    return path.name.lower().endswith(PICKLE_SUFFIXES)


def is_volume(path: Path) -> bool:
    """Whether the name is that of a volume, DICOM apart; of a pair, either file."""
    return path.name.lower().endswith(VOLUME_SUFFIXES)


def is_volume_file(path: Path) -> bool:
    """Whether a file is to be listed as a scan of its own, DICOM apart.

    Args:
        path: of a file; beside an ``.img`` its header is looked for.

    Returns:
        Whether its name is that of a volume. A header and its voxels are one scan, named by the header.
    """
    return is_volume(path) and not is_voxel_file(path)


def is_voxel_file(path: Path) -> bool:
    """Whether a file holds the voxels of a header that lies beside it, such as ``a.img`` of ``a.hdr``.

    Args:
        path: of a file; its header is looked for on the disk.
    """
    return header_file(path) != path


def header_file(path: Path) -> Path:
    """The file that stands for a header and its voxels.

    Args:
        path: of a volume, or of the voxels of one.

    Returns:
        ``a.hdr`` for ``a.img`` where that exists, or else ``path``.
    """
    headers = [_with_suffix(path, voxels, header) for header, voxels in _PARTS if _ends(path, voxels)]
    return next((header for header in headers if header.is_file()), path)


def files_of(path: Path) -> list[Path]:
    """The files that a volume is read from, as far as names tell.

    Args:
        path: of a volume; of a header and its voxels, either.

    Returns:
        The file; or the header, then the voxels beside it. Voxels are missing here where an ``.nhdr`` or ``.mhd`` gives
        their file another name.
    """
    first = header_file(path)
    beside = [_with_suffix(first, header, voxels) for header, voxels in _PARTS if _ends(first, header)]
    return [first, *(voxels for voxels in beside if voxels.is_file())]


def case_name(path: Path) -> str:
    """The name of a scan: its file's name without the suffix, or its DICOM folder's name.

    Args:
        path: path of a file or folder; it need not exist.

    Returns:
        ``head`` for ``head.nii.gz``, ``1.2.840.1`` for a folder of that name.
    """
    suffixes = (*VOLUME_SUFFIXES, *DICOM_SUFFIXES, *PICKLE_SUFFIXES)
    for suffix in sorted(suffixes, key=len, reverse=True):
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return path.name[: -len(suffix)]
    return path.name


def _ends(path: Path, suffix: str) -> bool:
    return path.name.lower().endswith(suffix)


def _with_suffix(path: Path, suffix: str, other: str) -> Path:
    """A file's neighbour of the same stem, in the same case of letters."""
    written = path.name[-len(suffix) :]
    return path.with_name(path.name[: -len(suffix)] + (other.upper() if written.isupper() else other))
