"""Pairs from folders: degraded scans in ``LQ``, clean ones of the same names in ``HQ``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bundle.tat.data.datalist import Item, find_scan_paths
from bundle.tat.modality import parse_modality
from bundle.tat.refusal import RefusedInputError

DEGRADED_FOLDER: Final = "LQ"
CLEAN_FOLDER: Final = "HQ"


def pair_folders(root: str, modality: str | None = None, section: str | None = None) -> list[Item]:
    """List the pairs of ``ROOT[/SECTION][/MODALITY]/{LQ,HQ}/NAME``.

    Args:
        root: folder. NIfTI and NRRD files and folders with one DICOM series each may be in ``LQ`` and ``HQ``; a pair
            has one name, up to the suffix.
        modality: of the pairs, where no folder is named after one. Among folders that are (``CT``, ``MR`` or ``MRI``,
            ``PT`` or ``PET``), the only one to take.
        section: subfolder, such as ``training`` and ``validation``.

    Returns:
        Items with ``image`` (degraded), ``label`` (clean) and, if it is known, ``modality``.

    Raises:
        RefusedInputError: a folder is missing or holds no scan, or scans have no partner (all listed).
    """
    items: list[Item] = []
    orphans: list[str] = []
    for folder, known in task_folders(root, modality, section):
        low, high = (find_scan_paths(folder / name) for name in (DEGRADED_FOLDER, CLEAN_FOLDER))
        items += pair_by_name(low, high, known)
        orphans += find_orphans(low, high)
    refuse_orphans(orphans)
    return items


def task_folders(root: str, modality: str | None, section: str | None) -> list[tuple[Path, str | None]]:
    """Find the folders that hold one modality each.

    Args:
        root: folder.
        modality: see ``pair_folders``.
        section: see ``pair_folders``.

    Returns:
        Folders and the modality that is known of each: the subfolders named after one, or else the folder itself.

    Raises:
        RefusedInputError: the folder is missing, or none of the subfolders is of ``modality``.
    """
    base = Path(root).expanduser().absolute() / (section or "")
    if not base.is_dir():
        raise RefusedInputError(f"{base} is no folder: pass the folder of the data")
    wanted = parse_modality(modality).value if modality else None
    named = [(folder, known) for folder in sorted(base.iterdir()) if (known := _modality_of(folder))]
    chosen = [(folder, known) for folder, known in named if wanted in (None, known)]
    if named and not chosen:
        raise RefusedInputError(
            f"{base} has no folder for {wanted}: pass one of {', '.join(known for _, known in named)}"
        )
    return [*chosen] if named else [(base, wanted)]


def pair_by_name(low: Mapping[str, Path], high: Mapping[str, Path], modality: str | None) -> list[Item]:
    """Join degraded and clean scans that share a name.

    Args:
        low: name -> degraded scan.
        high: name -> clean scan.
        modality: of all of them, if it is known.

    Returns:
        One item for each shared name, in the order of the names.
    """
    known = {"modality": modality} if modality else {}
    return [{"image": str(low[name]), "label": str(high[name]), **known} for name in sorted(low.keys() & high.keys())]


def find_orphans(low: Mapping[str, Path], high: Mapping[str, Path]) -> list[str]:
    """List the scans of either side that have no partner.

    Args:
        low: name -> degraded scan.
        high: name -> clean scan.

    Returns:
        Their paths, in the order of the names.
    """
    return [str(low.get(name) or high[name]) for name in sorted(low.keys() ^ high.keys())]


def refuse_orphans(orphans: list[str]) -> None:
    """Refuse scans without a partner, all at once.

    Args:
        orphans: what ``find_orphans`` returned.

    Raises:
        RefusedInputError: there is one.
    """
    if orphans:
        raise RefusedInputError(
            f"{len(orphans)} scans have no partner of the same name: {', '.join(orphans)}; add the partners or remove "
            "these scans"
        )


def _modality_of(folder: Path) -> str | None:
    """The modality that a folder is named after."""
    try:
        return parse_modality(folder.name).value if folder.is_dir() else None
    except RefusedInputError:
        return None
