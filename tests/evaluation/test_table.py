"""Tables come back as they were written, or are refused."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bundle.tat.evaluation.scoring import MethodResult
from bundle.tat.evaluation.table import EvaluationRecord, SliceRow, case_rows, read_slices, write_csv
from bundle.tat.metrics.restoration import VolumeScores
from bundle.tat.modality import Modality
from bundle.tat.provenance import Provenance
from bundle.tat.refusal import RefusedInputError

RECORD = EvaluationRecord(
    protocol="tat-2d-v1",
    data_range="max - min, of each slice",
    provenance=Provenance("0" * 64, "0.1.0"),
    datalist="datalist.json",
    section="testing",
)
ROW = SliceRow(
    modality="CT",
    case="a, b",
    subject="patient 7",
    method="gaussian",
    parameter=0.1 + 0.2,
    slice=7,
    psnr=100 / 3,
    ssim=2 / 3,
    rmse=1e-17,
    unit="HU",
)


def write(path: Path, rows: list[SliceRow]) -> Path:
    write_csv(path, [asdict(row) | RECORD.columns() for row in rows])
    return path


def test_a_table_comes_back_to_the_bit(tmp_path):
    rows = [ROW, replace(ROW, method="restored", parameter=None, subject=None)]
    table = read_slices(write(tmp_path / "new" / "slices.csv", rows))
    assert table.rows == rows
    assert table.record == RECORD
    header = (tmp_path / "new" / "slices.csv").read_text().splitlines()[0]
    assert header.endswith(
        "unit,protocol,data_range,weights_sha256,bundle_version,datalist,section,mri_scale,pet_planes"
    )
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["slices.csv"]


def test_a_table_of_the_first_version_took_mri_as_it_was_and_slices_in_one_plane(tmp_path):
    columns = replace(RECORD, pet_planes=True).columns()
    del columns["mri_scale"], columns["pet_planes"]
    write_csv(tmp_path / "slices.csv", [asdict(ROW) | columns])
    record = read_slices(tmp_path / "slices.csv").record
    assert (record.mri_scale, record.pet_planes) == ("fixed", False)


def test_a_table_says_whether_pet_was_restored_in_three_planes(tmp_path):
    write_csv(tmp_path / "slices.csv", [asdict(ROW) | replace(RECORD, pet_planes=True).columns()])
    assert read_slices(tmp_path / "slices.csv").record.pet_planes


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace("psnr", "PSNR"), "is no slices.csv of an evaluation"),
        (lambda text: text.replace(repr(2 / 3), "nan"), "are not finite"),
        (lambda text: text.splitlines()[0] + "\n", "holds rows of 0 runs"),
        (lambda text: text + text.splitlines()[1] + "\n", "names 1 slices twice"),
        (lambda text: text + text.splitlines()[1].replace("0.1.0", "0.1.1") + "\n", "holds rows of 2 runs"),
        (lambda text: text.replace(",7,", ",seven,"), "is no slices.csv of an evaluation"),
    ],
)
def test_a_table_that_was_edited_is_refused(tmp_path, spoil, message):
    path = write(tmp_path / "slices.csv", [ROW])
    path.write_text(spoil(path.read_text()))
    with pytest.raises(RefusedInputError, match=message):
        read_slices(path)


def test_a_table_from_before_subjects_is_read(tmp_path):
    path = write(tmp_path / "slices.csv", [replace(ROW, subject=None)])
    with path.open(newline="") as file:
        records = [{name: cell for name, cell in row.items() if name != "subject"} for row in csv.DictReader(file)]
    write_csv(path, records)
    assert read_slices(path).rows == [replace(ROW, subject=None)]


def test_a_case_without_a_score_has_empty_cells():
    scores = VolumeScores(*[float("nan")] * 3, n_slices=0, n_constant=4)
    result = MethodResult(
        modality=Modality.PET,
        case="a",
        subject=None,
        method="restored",
        parameter=None,
        slices={},
        means=scores,
        volume=scores,
    )
    for whole in (False, True):
        (row,) = case_rows([result], whole=whole)
        assert [row[name] for name in ("psnr", "ssim", "rmse")] == [None] * 3
        assert (row["n_slices"], row["n_constant"], row["unit"]) == (0, 4, "SUV")


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match=r"no\.csv is no slices\.csv of an evaluation \(FileNotFoundError"):
        read_slices(tmp_path / "no.csv")


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = write(tmp_path / "slices.csv", [ROW])
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RefusedInputError, match=r"cannot write .*slices\.csv: No space left on device"):
        write_csv(path, [{"a": 1}])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_empty_cells_stand_for_nothing(tmp_path):
    with write(tmp_path / "slices.csv", [replace(ROW, parameter=None)]).open(newline="") as file:
        assert next(csv.DictReader(file))["parameter"] == ""
