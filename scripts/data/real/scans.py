"""The real scans in public repositories, at pinned versions; the list is ``scans.json`` beside this file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bundle.tat.modality import Modality


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A DICOM series in a public repository.

    Args:
        name: name in the parts.
        subject: person that it shows; in one split only.
        modality: of the scan.
        split: ``training``, ``validation`` or ``testing``.
        repository: owner and name on GitHub.
        commit: of the repository, 40 hexadecimal digits.
        licence: of the images.
        attribution: who must be named according to the licence.
        path: folder of the files in the repository.
        files: names of the files, as a format of the number.
        first: number of the first file.
        last: number of the last file.
        sha256: of the lines that ``sha256sum`` writes for the files, in this order.
    """

    name: str
    subject: str
    modality: Modality
    split: str
    repository: str
    commit: str
    licence: str
    attribution: str
    path: str
    files: str
    first: int
    last: int
    sha256: str

    @property
    def folder(self) -> Path:
        """Folder of the files below a folder of scans: ``OWNER-REPOSITORY/PATH``."""
        return Path(self.repository.replace("/", "-")) / self.path

    @property
    def file_names(self) -> list[str]:
        """Names of the files, in order."""
        return [self.files.format(number) for number in range(self.first, self.last + 1)]


@cache
def real_scans() -> dict[str, Scan]:
    """All scans, by name."""
    groups = json.loads(Path(__file__).with_name("scans.json").read_text(encoding="utf-8"))
    scans = [
        Scan(
            **{**entry, "modality": Modality(entry["modality"])},
            **{key: value for key, value in group.items() if key != "scans"},
        )
        for group in groups
        for entry in group["scans"]
    ]
    return {scan.name: scan for scan in scans}
