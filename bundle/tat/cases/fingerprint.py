"""The files that a case is read from."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from monai.utils import CommonKeys, ensure_tuple

from bundle.tat.refusal import RefusedInputError

# Of each file, its start, its middle and its end are looked at: a DICOM file has its UIDs in front, a compressed file
# its checksum behind, and the middle of a scan is never empty.
_BLOCK: Final = 2**14


def case_files(item: Mapping[str, Any]) -> Iterator[Path]:
    """The files of a case.

    Args:
        item: entry of a datalist whose ``image`` is a file, a folder or a list of files.
    """
    for name in ensure_tuple(item[CommonKeys.IMAGE]):
        path = Path(str(name))
        yield from sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def n_bytes(item: Mapping[str, Any]) -> int:
    """Size of a case on the disk [bytes]."""
    return sum(path.stat().st_size for path in case_files(item))


def fingerprint(item: Mapping[str, Any]) -> str:
    """Tell a case from another one of the same name, and from itself after a change, without reading it whole.

    Args:
        item: entry of a datalist.

    Returns:
        Hexadecimal digits that depend on sizes and times of change of the case's files and on parts of their content,
        but not on where they lie.

    Raises:
        RefusedInputError: a file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for path in case_files(item):
            status = path.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns} ".encode())
            with path.open("rb") as file:
                for place in (0, status.st_size // 2, max(0, status.st_size - _BLOCK)):
                    file.seek(place)
                    digest.update(file.read(_BLOCK))
    except OSError as error:
        raise RefusedInputError(f"cannot read {error.filename}: {error.strerror or error}") from error
    return digest.hexdigest()
