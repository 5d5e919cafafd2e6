"""Digests that differ between two files, and between a file and its changed form: of all its bytes, or of samples."""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO, Final

from bundle.tat.refusal import RefusedInputError

# Of each file, its start, its middle and its end are looked at. A DICOM file has its UIDs in front, a compressed file
# its checksum behind, and the middle of a scan is never empty.
_BLOCK: Final = 2**14


def sampled_digest(file: BinaryIO, *, with_time: bool = True) -> str:
    """Digest of a file's size, time of change and parts of its content.

    Args:
        file: an open file of the disk; it is read from three places, and left at another one.
        with_time: whether the time of change counts, which a copy need not share.

    Returns:
        64 hexadecimal digits, which do not depend on the file's name or folder.

    Raises:
        OSError: the file cannot be read.
    """
    status = os.fstat(file.fileno())
    changed = status.st_mtime_ns if with_time else ""
    digest = hashlib.sha256(f"{status.st_size} {changed} ".encode())
    for place in (0, status.st_size // 2, max(0, status.st_size - _BLOCK)):
        file.seek(place)
        digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits.

    Args:
        path: an existing file.

    Raises:
        RefusedInputError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise RefusedInputError(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()
