"""Tables of scores: every row has its protocol and origin, and a file is written completely or not at all."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bundle.tat.atomic import write_text
from bundle.tat.evaluation.scoring import SCORES, MethodResult
from bundle.tat.modality import EVALUATION_WINDOWS, Modality
from bundle.tat.provenance import Provenance
from bundle.tat.refusal import RefusedInputError


@dataclass(frozen=True, kw_only=True)
class EvaluationRecord:
    """Protocol and origin of scores, the same in every row of a file.

    Args:
        protocol: id of the protocol.
        data_range: data range of PSNR and SSIM, in words.
        provenance: weights and version that made the restorations and the scores.
        datalist: name of the datalist, without its folder.
        section: section of the datalist.
        mri_scale: how MRI was brought to the scale of training, on which it is scored.
        pet_planes: whether PET was restored in its three planes, where its voxels suit.
    """

    protocol: str
    data_range: str
    provenance: Provenance
    datalist: str
    section: str
    mri_scale: str = "fixed"
    pet_planes: bool = False

    def columns(self) -> dict[str, str | None]:
        """The record as columns of a table, by their names."""
        return {
            "protocol": self.protocol,
            "data_range": self.data_range,
            **self.provenance.columns(),
            "datalist": self.datalist,
            "section": self.section,
            "mri_scale": self.mri_scale,
            "pet_planes": str(self.pet_planes),
        }

    @property
    def planes(self) -> str:
        """How PET was restored, in words."""
        return "PET in three planes" if self.pet_planes else "PET in one plane"

    @classmethod
    def from_columns(cls, row: Mapping[str, str]) -> EvaluationRecord:
        """The record of a row that has its columns.

        Args:
            row: cells by column.

        Raises:
            KeyError: a column is missing.
        """
        made = Provenance(row["weights_sha256"], row["bundle_version"])
        said = {name: row[name] for name in ("protocol", "data_range", "datalist", "section")}
        # Tables of 0.1.0 lack these columns: their MRI was not scaled, and slices were restored in one plane.
        planes = row.get("pet_planes") == "True"
        return cls(provenance=made, **said, mri_scale=row.get("mri_scale", "fixed"), pet_planes=planes)


@dataclass(frozen=True, kw_only=True)
class SliceRow:
    """Scores of one slice by one method.

    Args:
        modality: ``CT``, ``MRI`` or ``PET``.
        case: name of the case.
        subject: name of the person in the datalist; ``None`` where the datalist has none.
        method: ``input``, ``restored``, or the name of a plain filter.
        parameter: of the filter; ``None`` for the other methods.
        slice: index along the last axis, from 0.
        psnr: peak signal-to-noise ratio [dB].
        ssim: structural similarity.
        rmse: root mean squared error, in ``unit``.
        unit: the modality's unit.
    """

    modality: str
    case: str
    subject: str | None = None
    method: str
    parameter: float | None
    slice: int
    psnr: float
    ssim: float
    rmse: float
    unit: str


@dataclass(frozen=True)
class SliceTable:
    """The content of a ``slices.csv``.

    Args:
        record: protocol and origin of the scores.
        rows: one for each slice and method.
    """

    record: EvaluationRecord
    rows: list[SliceRow]

    @property
    def has_pet(self) -> bool:
        """Whether any row is of PET."""
        return any(row.modality == Modality.PET for row in self.rows)


def slice_rows(results: Iterable[MethodResult]) -> list[SliceRow]:
    """Make rows of results, one for each slice and method.

    Args:
        results: of any cases.

    Returns:
        The rows, in the order of the results.
    """
    return [
        SliceRow(**{**_head(result), **scores}, slice=index, unit=_unit(result))
        for result in results
        for index, scores in result.slices.items()
    ]


def case_rows(results: Iterable[MethodResult], *, whole: bool = False) -> list[dict[str, object]]:
    """Make rows of results, one for each case and method.

    Args:
        results: of any cases.
        whole: take the scores of the whole volume instead of the means over its slices.

    Returns:
        The rows, in the order of the results; scores are ``None`` where no slice can be scored.
    """
    rows = []
    for result in results:
        scores = asdict(result.volume if whole else result.means)
        counts = {name: scores.pop(name) for name in ("n_slices", "n_constant")}
        cells = scores if counts["n_slices"] else dict.fromkeys(scores)
        rows.append({**_head(result), **cells, "unit": _unit(result), **counts})
    return rows


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a table; its columns are the keys of the first row, and ``None`` is an empty cell.

    Args:
        path: file to write; its folder is made, an older file is replaced.
        rows: one or more, all with the same keys.

    Raises:
        RefusedInputError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_slices(path: Path) -> SliceTable:
    """Read a ``slices.csv``.

    Args:
        path: the file.

    Returns:
        Its rows, with their protocol and origin.

    Raises:
        RefusedInputError: the file cannot be read, lacks a column or a row, or holds a score that is no finite number.
            Or it names one slice twice for one method, or its rows come from different runs.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            records = list(csv.DictReader(file))
        rows = [_parse_row(record) for record in records]
        of_rows = {EvaluationRecord.from_columns(record) for record in records}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RefusedInputError(
            f"{path} is no slices.csv of an evaluation ({type(error).__name__}: {error}): pass the unchanged file"
        ) from error
    if len(of_rows) != 1:
        raise RefusedInputError(f"{path} holds rows of {len(of_rows)} runs: pass the table of one run")
    keys = {(row.modality, row.case, row.method, row.slice) for row in rows}
    if len(keys) < len(rows):
        raise RefusedInputError(f"{path} names {len(rows) - len(keys)} slices twice: pass the table of one run")
    return SliceTable(of_rows.pop(), rows)


def _head(result: MethodResult) -> dict[str, Any]:
    return {
        "modality": result.modality.value,
        "case": result.case,
        "subject": result.subject,
        "method": result.method,
        "parameter": result.parameter,
    }


def _unit(result: MethodResult) -> str:
    return EVALUATION_WINDOWS[result.modality].unit


def _parse_row(record: Mapping[str, str]) -> SliceRow:
    scores = {name: float(record[name]) for name in SCORES}
    if not all(map(math.isfinite, scores.values())):
        raise ValueError(f"scores {scores} of {record['case']} are not finite")
    cells: dict[str, Any] = {name: record[name] for name in ("modality", "case", "method", "unit")} | scores
    parameter = float(record["parameter"]) if record["parameter"] else None
    # Tables of earlier versions have no column for the subject.
    return SliceRow(**cells, subject=record.get("subject") or None, parameter=parameter, slice=int(record["slice"]))
