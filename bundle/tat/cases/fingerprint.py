"""Digests that differ between two cases of one name, and between a case and its changed form."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bundle.tat.data.datalist import IMAGE_KEY, series_of
from bundle.tat.data.sidecar import sidecar_of
from bundle.tat.file_digest import sampled_digest
from bundle.tat.formats import files_of
from bundle.tat.refusal import RefusedInputError
from bundle.tat.walk import check_there


def n_bytes(item: Mapping[str, Any]) -> int:
    """Size of a case on the disk [bytes].

    Args:
        item: entry of a datalist.

    Returns:
        Its size; 0 for a file that does not exist, which is refused later, when it is to be read.
    """
    series = series_of(item)
    if series is not None:
        return sum(header.n_bytes for header in series.headers)
    return sum(file.stat().st_size for file in files_of(Path(str(item[IMAGE_KEY]))) if file.exists())


def fingerprint(item: Mapping[str, Any]) -> str:
    """Digest of the files of a case, which is made without reading them whole.

    Args:
        item: entry of a datalist.

    Returns:
        Hexadecimal digits. They depend on the sizes, the times of change and parts of the content of the case's files,
        but not on their folder. Of DICOM only the images of the series count, not the files beside them. Of a scan in a
        file of its own the sidecar counts too, since the result depends on it.

    Raises:
        RefusedInputError: a file cannot be read.
    """
    series = series_of(item)
    if series is not None:
        return hashlib.sha256("".join(header.digest for header in series.headers).encode()).hexdigest()
    check_there(Path(str(item[IMAGE_KEY])))
    digests = []
    try:
        for path in files_of(Path(str(item[IMAGE_KEY]))):
            with path.open("rb") as file:
                digests.append(sampled_digest(file))
    except OSError as error:
        raise RefusedInputError(f"cannot read {error.filename}: {error.strerror or error}") from error
    if (sidecar := sidecar_of(item)) is not None:
        digests.append(sidecar.digest)
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
