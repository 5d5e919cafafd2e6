"""Comparing two tables: what is said of them, against direct calls, and what is refused."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from bundle.tat.evaluation.comparison import compare_runs
from bundle.tat.evaluation.statistics import compare
from bundle.tat.evaluation.table import EvaluationRecord, SliceRow, write_csv
from bundle.tat.provenance import Provenance
from bundle.tat.refusal import RefusedInputError

RECORD = EvaluationRecord(
    protocol="tat-2d-v1",
    data_range="of each slice",
    provenance=Provenance("ab" * 32, "0.1.0"),
    datalist="datalist.json",
    section="testing",
)


def table(seed: int, n_cases: int = 6) -> list[SliceRow]:
    """Two slices a case of CT, and one case of PET; the input's rows are not what is compared."""
    random = np.random.default_rng(seed)
    cases = [("CT", f"ct{index}", "HU") for index in range(n_cases)] + [("PET", "pet", "SUV")]
    return [
        SliceRow(
            modality=modality,
            case=case,
            method=method,
            parameter=None,
            slice=index,
            psnr=30 + random.normal() + (method == "restored"),
            ssim=0.9 + 0.01 * random.normal(),
            rmse=10 + random.normal(),
            unit=unit,
        )
        for modality, case, unit in cases
        for index in range(2)
        for method in ("input", "restored")
    ]


def write(path: Path, rows: list[SliceRow], record: EvaluationRecord = RECORD) -> str:
    write_csv(path, [asdict(row) | record.columns() for row in rows])
    return str(path)


def test_the_table_is_that_of_direct_calls(tmp_path):
    one, two = table(0), table(1)
    # The order of the rows does not matter.
    printed = compare_runs(write(tmp_path / "one.csv", one), write(tmp_path / "two.csv", two[::-1]))
    ct = [[row for row in rows if row.modality == "CT" and row.method == "restored"] for rows in (one, two)]
    expected = compare(*(np.array([row.rmse for row in rows]) for rows in ct), [row.case for row in ct[0]])
    line = next(line for line in printed.splitlines() if line.startswith("CT    RMSE [HU]"))
    assert expected.interval is not None
    assert line.split()[3:] == [
        f"{expected.mean_difference:+.4f}",
        f"[{expected.interval.low:+.4f},",
        f"{expected.interval.high:+.4f}]",
        f"{expected.test.p:.2g}",
        "6",
        "6",
        "cases",
    ]
    assert [line.split()[-1] for line in printed.splitlines() if line.startswith("PET")] == ["slices"] * 3
    assert "weights abababababab" in printed
    assert "not corrected" in printed


def test_a_run_compared_with_itself(tmp_path):
    path = write(tmp_path / "one.csv", table(0))
    lines = [line for line in compare_runs(path, path).splitlines() if line.startswith(("CT", "PET"))]
    assert len(lines) == 6
    assert all("+0.0000  [+0.0000, +0.0000]" in line for line in lines)


@pytest.mark.parametrize(
    ("rows", "record", "message"),
    [
        (table(1), replace(RECORD, protocol="tat-3d-v1"), "protocols tat-2d-v1 and tat-3d-v1 give numbers"),
        (table(1, n_cases=5), RECORD, r"2 slices are scored in one run only \(CT ct5 slice 0, CT ct5 slice 1\)"),
        ([replace(row, modality="MRI") for row in table(1)[:4]], RECORD, "16 slices are scored in one run only"),
    ],
)
def test_what_is_not_comparable_is_refused(tmp_path, rows, record, message):
    paths = write(tmp_path / "one.csv", table(0)), write(tmp_path / "two.csv", rows, record)
    with pytest.raises(RefusedInputError, match=message):
        compare_runs(*paths)


def test_errors_of_mri_on_different_scales_are_not_compared(tmp_path):
    other = replace(RECORD, mri_scale="percentile")
    with pytest.raises(RefusedInputError, match="mri_scale fixed and percentile give errors of MRI"):
        compare_runs(write(tmp_path / "one.csv", table(0)), write(tmp_path / "two.csv", table(1), other))


def test_tables_of_pet_in_three_planes_and_in_one_are_told_apart(tmp_path):
    three = write(tmp_path / "one.csv", table(0), replace(RECORD, pet_planes=True))
    first, second, *_ = compare_runs(three, write(tmp_path / "two.csv", table(1))).splitlines()
    assert first.endswith("datalist.json (testing), PET in three planes")
    assert second.endswith("datalist.json (testing), PET in one plane")


def test_planes_are_not_named_without_pet(tmp_path):
    path = write(tmp_path / "one.csv", [row for row in table(0) if row.modality == "CT"])
    assert "PET in" not in compare_runs(path, path)
