"""What the names and tables of a BIDS data set say about one of its scans."""

from __future__ import annotations

import csv
import glob
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from bundle.tat.formats import case_name
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.walk import BIDS_ROOT_FILE, check_there

# Suffixes that stand for images of one modality. Maps and label maps have others.
_MODALITIES: Final = MappingProxyType(
    {
        "pet": Modality.PET,
        **dict.fromkeys(
            ("T1w", "T2w", "PDw", "T2starw", "FLAIR", "inplaneT1", "inplaneT2", "PDT2", "angio", "UNIT1"), Modality.MRI
        ),
    }
)
# Folders from a scan up to its data set: datatype, session, subject, root.
_N_LEVELS: Final = 4
_MISSING: Final = ("", "n/a")


def bids_modality(path: Path) -> Modality | None:
    """The modality that a BIDS name stands for, such as MRI for ``sub-01_T1w``.

    Args:
        path: of a scan.

    Returns:
        ``None`` for other names.

    Source:
        BIDS 1.10, sections on MRI and PET.
    """
    entities, suffix = _split_name(case_name(path))
    return _MODALITIES.get(suffix) if any(entity.startswith("sub-") for entity in entities) else None


def sidecar_files(path: Path) -> list[Path]:
    """The JSON files that describe a scan.

    Args:
        path: of the scan.

    Returns:
        The file of the scan's own name, last. In a BIDS data set, the files that it inherits from come before it, from
        the root down.

    Source:
        BIDS 1.10, "The Inheritance Principle".
    """
    own = path.with_name(f"{case_name(path)}.json")
    root = _root(path)
    inherited = [] if root is None else [file for file in _inherited(path, root) if file != own]
    return [*inherited, *([own] if os.path.lexists(own) else [])]


class ParticipantEntry(NamedTuple):
    """What ``participants.tsv`` has for a subject in one column.

    Args:
        values: as they are written, those of several rows of the subject in their order; ``n/a`` is left out.
        unit: as ``participants.json`` has it; empty where it names none.
    """

    values: tuple[str, ...]
    unit: str


def participant_entry(path: Path, column: str) -> ParticipantEntry | None:
    """Look up the subject of a scan in the table of participants of its data set.

    Args:
        path: of the scan, in a folder ``sub-<label>``, beside which the table lies.
        column: name of the column.

    Returns:
        ``None`` where no such table, row or value is found.

    Raises:
        RefusedInputError: the table cannot be read.
    """
    subject = next((folder for folder in path.parents if folder.name.startswith("sub-")), None)
    if subject is None or not (table := subject.parent / "participants.tsv").exists():
        return None
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.DictReader(file, delimiter="\t") if row.get("participant_id") == subject.name]
    except (OSError, ValueError, csv.Error) as error:
        raise RefusedInputError(f"{table} cannot be read as a table: repair or remove it") from error
    written = dict.fromkeys((row.get(column) or "").strip() for row in rows)
    values = tuple(value for value in written if value not in _MISSING)
    return ParticipantEntry(values, _unit(table, column)) if values else None


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON file that may describe a scan.

    Args:
        path: the file.

    Returns:
        Its entries; none if it holds something else than an object.

    Raises:
        RefusedInputError: it is not there, or is no JSON.
    """
    check_there(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise RefusedInputError(f"{path} beside the scan cannot be read as JSON: repair or remove it") from error
    return content if isinstance(content, dict) else {}


def _unit(table: Path, column: str) -> str:
    """The unit of a column, as the table's own description has it."""
    file = table.with_suffix(".json")
    described = read_json(file).get(column) if file.exists() else None
    return str(described.get("Units") or "").strip() if isinstance(described, dict) else ""


def _root(path: Path) -> Path | None:
    """The data set that a scan with a BIDS name is in."""
    if not path.name.startswith("sub-"):
        return None
    above = list(path.parents)[:_N_LEVELS]
    return next((folder for folder in above if (folder / BIDS_ROOT_FILE).exists()), None)


def _inherited(path: Path, root: Path) -> Iterator[Path]:
    """JSON files that a scan takes entries from, those of fewer entities first in each folder."""
    entities, suffix = _split_name(case_name(path))
    for folder in reversed([folder for folder in path.parents if folder.is_relative_to(root)]):
        named = [file for file in folder.glob(f"*{glob.escape(suffix)}.json") if not file.name.startswith(".")]
        parts = {file: _split_name(file.name.removesuffix(".json")) for file in named}
        fitting = [file for file, (some, kind) in parts.items() if kind == suffix and some <= entities]
        yield from sorted(fitting, key=lambda file: (len(parts[file][0]), file))


def _split_name(name: str) -> tuple[frozenset[str], str]:
    """The entities of a BIDS name, and its suffix."""
    *entities, suffix = name.split("_")
    return frozenset(entities), suffix
