"""The record beside a restored case: which weights and settings made it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bundle.tat.atomic import written_whole
from bundle.tat.dicom.own_series import RECORD_NAME
from bundle.tat.provenance import Provenance
from bundle.tat.quality.record import QUALITY_KEY, Quality, from_json, to_json
from bundle.tat.refusal import RefusedInputError

# Setting of a record, and entry of an item, that identifies the scan.
SOURCE_KEY: Final = "fingerprint"

Setting = str | int | float | bool | None


@dataclass(frozen=True)
class CaseRecord:
    """How a case was restored. It names no patient and no path, so that it may be passed on with the scan.

    Args:
        case: name of the case, that of its folder.
        modality: ``CT``, ``MRI`` or ``PET``; empty when it is not known.
        provenance: what made it.
        n_outside_network_range: voxels that were clipped for the network; the result has their parts beyond the range
            again.
        n_outside_file_range: values that lay outside the range that the saved files can store, and were clipped to it.
        unit: of the saved values, as DICOM names it; empty where the scan's file names none.
        settings: what else changes the result, by name.
        assumptions: what was assumed where the scan's header does not say, a sentence each.
        kspace_kept: share of k-space that the two axes of an MRI's slices held before restoration, in the order of the
            array's axes. ``None`` for an axis whose share cannot be found; empty for other modalities.
        in_planes: whether the scan was restored in its three planes, not slice by slice.
        quality: what was measured, and the verdict; ``None`` for a run without a report.
    """

    case: str
    modality: str
    provenance: Provenance
    n_outside_network_range: int = 0
    n_outside_file_range: int = 0
    unit: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    kspace_kept: tuple[float | None, ...] = ()
    in_planes: bool = False
    quality: Quality | None = None


def write_record(folder: Path, record: CaseRecord) -> None:
    """Write ``restoration.json``, whole or not at all.

    Args:
        folder: folder of the case.
        record: what to write.

    Raises:
        RefusedInputError: the file system does not let us.
    """
    with written_whole(folder / RECORD_NAME) as temporary:
        temporary.write_text(json.dumps(_content(record), indent=4) + "\n", encoding="utf-8")


def read_record(folder: Path) -> CaseRecord | None:
    """Read the record of a case.

    Args:
        folder: folder of the case; it need not exist.

    Returns:
        The record; ``None`` when there is none, or none that can be read.
    """
    try:
        content = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
        return _record(content)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _content(record: CaseRecord) -> dict[str, Any]:
    """The JSON form of a record."""
    return {
        "case": record.case,
        "modality": record.modality,
        "version": record.provenance.version,
        "weights_sha256": record.provenance.weights_sha256,
        "n_outside_network_range": record.n_outside_network_range,
        "n_outside_file_range": record.n_outside_file_range,
        "unit": record.unit,
        "assumptions": list(record.assumptions),
        **({"kspace_kept": list(record.kspace_kept)} if record.kspace_kept else {}),
        "in_planes": record.in_planes,
        "settings": dict(record.settings),
        **({QUALITY_KEY: to_json(record.quality)} if record.quality else {}),
    }


def _record(content: dict[str, Any]) -> CaseRecord:
    """A record from its JSON form; raises what indexing and converting raise."""
    weights = content["weights_sha256"]
    return CaseRecord(
        case=str(content["case"]),
        modality=str(content["modality"]),
        provenance=Provenance(None if weights is None else str(weights), str(content["version"])),
        n_outside_network_range=int(content["n_outside_network_range"]),
        n_outside_file_range=int(content["n_outside_file_range"]),
        unit=str(content["unit"]),
        settings=dict(content["settings"]),
        assumptions=tuple(str(sentence) for sentence in content.get("assumptions", ())),
        kspace_kept=tuple(None if share is None else float(share) for share in content.get("kspace_kept", ())),
        in_planes=bool(content.get("in_planes", False)),
        quality=from_json(content[QUALITY_KEY]) if QUALITY_KEY in content else None,
    )


def check_replaceable(folder: Path, sources: Iterable[Path]) -> None:
    """Refuse to write a case over anything but an earlier result.

    Args:
        folder: folder of the case; it need not exist.
        sources: files or folder that the scan is read from.

    Raises:
        RefusedInputError: the folder holds the scan itself, or files without a record.
    """
    for source in sources:
        if source.resolve().is_relative_to(folder.resolve()):
            raise RefusedInputError(f"{source} would be replaced by its own result: pass another output_dir")
    if folder.is_dir() and not (folder / RECORD_NAME).is_file():
        # A result of a version without records is this file alone.
        others = sorted(path.name for path in folder.iterdir() if path.name != f"{folder.name}_restored.nii.gz")
        if others:
            raise RefusedInputError(
                f"{folder} holds {others[0]}, which is no result: remove it or pass another output_dir"
            )
