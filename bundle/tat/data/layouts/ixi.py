"""IXI: T2-weighted brains, clean only, split by subject as in the paper."""

import hashlib
import re
from pathlib import Path
from typing import Final

from bundle.tat.data.datalist import Item
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError

# Subjects in each section, 578 in all; the authors' own lists are not published.
SPLIT: Final = {"training": 405, "validation": 59, "testing": 114}
CENTRAL_SLICES: Final = 100

_T2_VOLUME: Final = re.compile(r"(IXI\d+)-.*T2\.nii(\.gz)?", re.IGNORECASE)


def list_ixi(root: str, section: str, *, seed: int = 0, n_slices: int = CENTRAL_SLICES) -> list[Item]:
    """List the T2 volumes of one section, of a folder with files such as ``IXI012-HH-1211-T2.nii.gz``.

    The split depends on the names and the seed only: subjects in the order of a hash, cut in the paper's proportions
    (exactly 405, 59 and 114 of 578 subjects). All volumes of a subject are in one section.

    Args:
        root: folder; files that are no T2 volume are ignored.
        section: ``training``, ``validation`` or ``testing``.
        seed: of the split.
        n_slices: central slices that are used of each volume; ``CentralSlicesd`` crops to them.

    Returns:
        Items with ``label`` (clean), ``modality`` and ``n_slices``, in the order of their names.

    Raises:
        RefusedInputError: unknown section, no volume in the folder, or too few for this section.

    Source:
        Split sizes and central slices: Yang et al. 2024, arXiv:2407.11087, section 4.1.
    """
    if section not in SPLIT:
        raise RefusedInputError(f"section is {section!r}: pass {', '.join(SPLIT)}")
    folder = Path(root).expanduser().absolute()
    volumes = sorted(folder.glob("*.nii*")) if folder.is_dir() else []
    subjects = {path: match[1].upper() for path in volumes if (match := _T2_VOLUME.fullmatch(path.name))}
    if not subjects:
        raise RefusedInputError(
            f"{folder} holds no volume named like IXI012-HH-1211-T2.nii.gz: pass the folder of them"
        )
    chosen = split_subjects(set(subjects.values()), seed=seed)[section]
    if not chosen:
        raise RefusedInputError(
            f"{folder} holds {len(set(subjects.values()))} subjects, and none is left for {section}: add subjects"
        )
    return [
        {"label": str(path), "modality": Modality.MRI.value, "n_slices": n_slices}
        for path, subject in subjects.items()
        if subject in chosen
    ]


def split_subjects(subjects: set[str], *, seed: int = 0) -> dict[str, set[str]]:
    """Split subjects in the paper's proportions.

    Args:
        subjects: their identifiers.
        seed: of the split.

    Returns:
        Section -> its subjects; every subject is in one section.
    """
    # A hash, unlike a random generator, is the same in every version of every library.
    order = sorted(subjects, key=lambda subject: hashlib.sha256(f"{seed} {subject}".encode()).hexdigest())
    sections: dict[str, set[str]] = {}
    start = seen = 0
    for section, size in SPLIT.items():
        seen += size
        stop = round(len(order) * seen / sum(SPLIT.values()))
        sections[section] = set(order[start:stop])
        start = stop
    return sections
