"""AAPM-Mayo low-dose CT: full and quarter dose series of ten patients."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from bundle.tat.data.datalist import Item
from bundle.tat.data.layouts.paired_folders import find_orphans, pair_by_name, refuse_orphans
from bundle.tat.dicom.reader import is_dicom_file
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError

# One patient each, as in the paper, which does not name them. L506, the field's usual test patient, has the paper's 211
# slices in the 3 mm series; for L109 the paper's 128 are to be checked against the data.
VALIDATION_PATIENTS: Final = ("L109",)
TEST_PATIENTS: Final = ("L506",)

_PATIENT: Final = re.compile(r"L\d{3}", re.IGNORECASE)


def list_aapm(root: str, section: str, *, series: str | None = None) -> list[Item]:
    """Pair the series of each patient, split 8/1/1 by patient.

    A series is a folder with DICOM files. Above it are a folder whose name starts with ``full`` or ``quarter`` and one
    named after the patient, in either order: ``ROOT/full_3mm/L067/full_3mm/*.IMA`` and ``ROOT/quarter_3mm/L067/...``.

    Args:
        root: folder.
        section: ``training`` (all patients but two), ``validation`` (L109) or ``testing`` (L506).
        series: what follows ``full_`` and ``quarter_`` in the folders' names, such as ``3mm`` or ``1mm_sharp``, where
            the folder holds several.

    Returns:
        Items with ``image`` (quarter dose), ``label`` (full dose) and ``modality``, in the order of the patients.

    Raises:
        RefusedInputError: unknown section, no series of this section, several of one dose and patient, or patients with
            one dose only (all listed).

    Source:
        AAPM Low Dose CT Grand Challenge, McCollough et al. 2017, doi:10.1002/mp.12345. 3 mm slices and 8/1/1:
        Yang et al. 2024, arXiv:2407.11087, section 4.1.
    """
    if section not in ("training", "validation", "testing"):
        raise RefusedInputError(f"section is {section!r}: pass training, validation or testing")
    base = Path(root).expanduser().absolute()
    quarter, full = (_series_by_patient(base, dose, series) for dose in ("quarter", "full"))
    refuse_orphans(find_orphans(quarter, full))
    quarter = {patient: folder for patient, folder in quarter.items() if section_of(patient) == section}
    if not quarter:
        raise RefusedInputError(
            f"{base} holds no pair of full and quarter dose series for {section}: pass the folder above full_... and "
            "quarter_..."
        )
    return pair_by_name(quarter, full, Modality.CT.value)


def section_of(patient: str) -> str:
    """The section that a patient is in.

    Args:
        patient: identifier, such as ``L067``.
    """
    if patient in TEST_PATIENTS:
        return "testing"
    return "validation" if patient in VALIDATION_PATIENTS else "training"


def _series_by_patient(base: Path, dose: str, series: str | None) -> dict[str, Path]:
    """The one series of a dose that each patient has."""
    wanted = re.compile(f"{dose}_{re.escape(series)}" if series else f"{dose}.*", re.IGNORECASE)
    found: dict[str, Path] = {}
    for folder in _dicom_folders(base):
        parts = folder.relative_to(base).parts
        patient = next((part.upper() for part in parts if _PATIENT.fullmatch(part)), None)
        if patient is None or not any(wanted.fullmatch(part) for part in parts):
            continue
        if patient in found:
            raise RefusedInputError(
                f"{found[patient]} and {folder} are both {dose} dose of {patient}: name one with series, such as 3mm"
            )
        found[patient] = folder
    return found


def _dicom_folders(base: Path) -> list[Path]:
    return sorted(
        Path(folder)
        for folder, _, names in os.walk(base)
        if any(is_dicom_file(Path(folder, name)) for name in sorted(names))
    )
