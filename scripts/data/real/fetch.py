"""Get the files of a real scan, from its repository or from a folder that holds them already, and check them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bundle.tat.atomic import written_whole
from scripts.data.real.scans import Scan

RAW_FILES = "https://raw.githubusercontent.com/{repository}/{commit}/{path}/{name}"
TIMEOUT = 60.0  # s


def fetch_scan(scan: Scan, folder: Path, *, is_complete: bool = False) -> list[Path]:
    """Find the files of a scan below a folder, download those that are missing, and check them.

    Args:
        scan: scan to fetch.
        folder: root of the files, each at ``OWNER-REPOSITORY/PATH/NAME``.
        is_complete: whether nothing may be downloaded, since the folder is the user's own.

    Returns:
        The files, in order.

    Raises:
        SystemExit: files are missing, cannot be downloaded, or differ from the list.
    """
    paths = [folder / scan.folder / name for name in scan.file_names]
    for path in paths:
        if not path.is_file():
            if is_complete:
                raise SystemExit(f"{path} does not exist: leave --scans out to download the scans")
            _download(scan, path)
    _check(scan, paths)
    return paths


def _download(scan: Scan, path: Path) -> None:
    url = RAW_FILES.format(repository=scan.repository, commit=scan.commit, path=scan.path, name=path.name)
    try:
        with urlopen(url, timeout=TIMEOUT) as answer, written_whole(path) as scratch:  # noqa: S310 - https, see above
            scratch.write_bytes(answer.read())
    except (URLError, TimeoutError) as error:
        raise SystemExit(
            f"{url} could not be downloaded ({error}): check the connection, or pass the folder of the files as --scans"
        ) from error


def _check(scan: Scan, paths: list[Path]) -> None:
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths]
    found = hashlib.sha256("".join(lines).encode()).hexdigest()
    if found != scan.sha256:
        raise SystemExit(
            f"{paths[0].parent}: SHA-256 of the list of files is {found}, not {scan.sha256}: delete them and run again"
        )
