"""Files of a finished run for the repository: a record, and the scores of each case; small files, no weights."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from bundle.tat.atomic import write_json
from bundle.tat.evaluation.scoring import INPUT, RESTORED
from bundle.tat.evaluation.table import SliceRow, read_slices, write_csv

N_DIGITS: Final = 4


@dataclass(frozen=True, kw_only=True)
class CaseScore:
    """Scores of one restored scan, as means over its slices.

    Args:
        section: ``validation`` or ``testing``.
        modality: of the scan.
        subject: person that it shows.
        condition: its degradation.
        case: name of the case.
        n_slices: number of scored slices.
        input_psnr: PSNR of the degraded scan [dB].
        psnr: PSNR of the restored scan [dB].
        input_ssim: SSIM of the degraded scan.
        ssim: SSIM of the restored scan.
    """

    section: str
    modality: str
    subject: str
    condition: str
    case: str
    n_slices: int
    input_psnr: float
    psnr: float
    input_ssim: float
    ssim: float

    @property
    def gain(self) -> float:
        """Gain of PSNR over the degraded scan [dB]."""
        return self.psnr - self.input_psnr


@dataclass(frozen=True, kw_only=True)
class Record:
    """Origin of scores.

    Args:
        arm: one of ``ARMS``.
        seed: of the initial weights and of the batches.
        n_parameters: of the network.
        gflop_per_step: floating-point operations of its forward and backward pass on the batch of a step [1e9].
        n_steps: optimiser steps.
        cpu_seconds: CPU seconds of the steps on one core; ``None`` where nothing was trained.
        commit: of the code; ``+`` where files differed from it.
        weights_sha256: SHA-256 of the weights.
        identity: everything else that the result depends on, see ``fixed_budget.describe``.
    """

    arm: str
    seed: int
    n_parameters: int
    gflop_per_step: float
    n_steps: int
    cpu_seconds: float | None
    commit: str
    weights_sha256: str
    identity: Mapping[str, object]

    @property
    def name(self) -> str:
        """Name of its two files."""
        return f"{self.arm}_{self.seed}"


@dataclass(frozen=True)
class Result:
    """A finished run."""

    record: Record
    scores: Sequence[CaseScore]


def case_scores(slices: Path, section: str, conditions: Mapping[str, str]) -> list[CaseScore]:
    """Average the scores of an evaluation over the slices of each case.

    Args:
        slices: ``slices.csv`` of the evaluation.
        section: section that was scored.
        conditions: case -> its degradation.
    """
    rows: dict[str, dict[str, list[SliceRow]]] = defaultdict(lambda: defaultdict(list))
    for row in read_slices(slices).rows:
        rows[row.case][row.method].append(row)
    return [
        CaseScore(
            section=section,
            modality=of[RESTORED][0].modality,
            subject=str(of[RESTORED][0].subject),
            condition=conditions[case],
            case=case,
            n_slices=len(of[RESTORED]),
            input_psnr=_mean(of[INPUT], "psnr"),
            psnr=_mean(of[RESTORED], "psnr"),
            input_ssim=_mean(of[INPUT], "ssim"),
            ssim=_mean(of[RESTORED], "ssim"),
        )
        for case, of in rows.items()
    ]


def write_result(folder: Path, result: Result) -> None:
    """Write a finished run; the record is written last, since it marks the run as finished."""
    write_csv(folder / f"{result.record.name}.csv", [asdict(score) for score in result.scores])
    write_json(folder / f"{result.record.name}.json", asdict(result.record))


def read_record(folder: Path, name: str) -> Record | None:
    """The record of a run; ``None`` where it is not finished."""
    path = folder / f"{name}.json"
    return _read_record(path) if path.is_file() else None


def read_results(folder: Path) -> list[Result]:
    """All finished runs, by name."""
    found = []
    for path in sorted(folder.glob("*.json")):
        with path.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
            found.append(Result(_read_record(path), [_parse(row) for row in csv.DictReader(file)]))
    return found


def _read_record(path: Path) -> Record:
    return Record(**json.loads(path.read_text(encoding="utf-8")))


def _parse(row: Mapping[str, str]) -> CaseScore:
    kinds = {"int": int, "float": float, "str": str}
    cells: dict[str, Any] = {field.name: kinds[str(field.type)](row[field.name]) for field in fields(CaseScore)}
    return CaseScore(**cells)


def _mean(rows: Sequence[SliceRow], score: str) -> float:
    return round(fmean(getattr(row, score) for row in rows), N_DIGITS)
