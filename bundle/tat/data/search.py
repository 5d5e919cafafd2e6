"""What a folder holds: scans in files of their own, DICOM series, and other files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundle.tat.dicom.open import looks_like_dicom
from bundle.tat.dicom.own_series import RECORD_NAME
from bundle.tat.dicom.study import Series, Skipped, list_study
from bundle.tat.formats import case_name, is_volume_file, is_voxel_file
from bundle.tat.refusal import RefusedInputError
from bundle.tat.walk import Walked, walk

# Images by their names, in formats that are not read. They are listed as scans, so that each is refused by name. Of two
# files that belong together, the header stands for both.
FOREIGN_SUFFIXES: Final = (
    *(f"{suffix}.{packed}" for suffix in (".nii", ".dcm") for packed in ("bz2", "xz", "zst", "zip", "lz4")),
    *(".dcm.gz", ".mnc", ".mnc.gz", ".par", ".head", ".mif", ".mif.gz", ".mih", ".gipl", ".gipl.gz"),
    *(".ecat", ".vti", ".nrrd.gz", ".mha.gz"),
)
# What lies beside scans in files of their own and is never DICOM. It is not opened, since there may be one for each.
_BESIDE_SUFFIXES: Final = frozenset(
    [
        ".json",
        ".tsv",
        ".csv",
        ".txt",
        ".md",
        ".rst",
        ".bval",
        ".bvec",
        ".png",
        ".jpg",
        ".jpeg",
        ".svg",
        ".pdf",
        ".html",
        ".xml",
        ".yml",
        ".yaml",
        ".mat",
        ".log",
        ".gz",
    ]
)
_OWN_RESULT: Final = "already restored by TAT: pass the scan that it was made from"
_N_REASONS: Final = 3
# Names that BIDS has for label maps and masks.
_BIDS_LABELS: Final = re.compile(r"sub-[^_]+_(.+_)?(dseg|probseg|mask)")


@dataclass(frozen=True)
class FolderContents:
    """What a folder holds.

    Args:
        volumes: scans in files of their own, in the order of their paths. Broken links to scans, and images in formats
            that are not read, are included.
        series: DICOM series that may be restored.
        skipped: what cannot be restored.
    """

    volumes: tuple[Path, ...]
    series: tuple[Series, ...]
    skipped: tuple[Skipped, ...]

    def check_one_kind(self, folder: Path) -> None:
        """Refuse a folder with both kinds of scans: one may have been converted to the other.

        Raises:
            RefusedInputError: the folder holds both kinds.
        """
        readable = [path for path in self.volumes if is_volume_file(path)]
        if readable and self.series:
            raise RefusedInputError(
                f"{folder} holds scans in files ({readable[0].relative_to(folder)} is the first of {len(readable)}) "
                "and DICOM: put one kind in another folder, and pass one folder"
            )

    @property
    def reasons(self) -> str:
        """Why nothing can be restored, as the end of a sentence: the first few reasons."""
        return "".join(f"; {item.name}: {item.reason}" for item in self.skipped[:_N_REASONS])


def search_folder(folder: Path) -> FolderContents:
    """Search a folder and all below it, in one walk.

    Scans are found by the names of their files, DICOM by its first bytes. Where there are scans in files of their own,
    only files that start as DICOM does are read as DICOM. Elsewhere each other file is opened.

    Args:
        folder: existing folder.

    Raises:
        RefusedInputError: it cannot be opened.
    """
    walked = walk(folder)
    named = [path for path in sorted([*walked.files, *walked.dangling]) if _names_image(path)]
    unfit = dict(_unfit(named))
    volumes = [path for path in named if path not in unfit]
    scans = set(named)
    others = [path for path in walked.files if path not in scans and not is_voxel_file(path)]
    lost = [path for path in walked.dangling if path not in scans]
    if volumes:
        others, lost = [path for path in others if _may_be_dicom(path)], []
    study = list_study(folder, Walked(others, lost, walked.left_out))
    skipped = sorted((*study.skipped, *_together(folder, unfit)), key=lambda one: (one.name, one.reason))
    return FolderContents(tuple(volumes), study.series, tuple(skipped))


def _names_image(path: Path) -> bool:
    """Whether a file's name is that of an image in a file of its own, in a format that is read or not."""
    name = path.name.lower()
    return is_volume_file(path) or (name.endswith(FOREIGN_SUFFIXES) and name not in FOREIGN_SUFFIXES)


def _unfit(volumes: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Volumes that are no scans to restore, and why."""
    results = {folder for folder in {path.parent for path in volumes} if (folder / RECORD_NAME).is_file()}
    for path in volumes:
        if path.parent in results:
            yield path, _OWN_RESULT
        elif _BIDS_LABELS.fullmatch(case_name(path)):
            yield path, "a label map or mask by its name"


def _may_be_dicom(path: Path) -> bool:
    """Whether a file beside volumes is to be read as DICOM; one that cannot be opened is, so that it is reported."""
    try:
        return path.suffix.lower() not in _BESIDE_SUFFIXES and looks_like_dicom(path)
    except OSError:
        return True


def _together(folder: Path, unfit: Mapping[Path, str]) -> Iterator[Skipped]:
    """One entry for all files of a folder that are skipped for one reason; for results, of the folder above theirs."""
    alike: defaultdict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path, reason in unfit.items():
        holder = path.parent.parent if reason == _OWN_RESULT and path.parent != folder else path.parent
        alike[holder, reason].append(path)
    for (parent, reason), paths in alike.items():
        place = paths[0] if len(paths) == 1 else parent
        name = folder.name if place == folder else str(place.relative_to(folder))
        yield Skipped(name, len(paths), reason)
