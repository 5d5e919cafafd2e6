"""A run searches its input once: each header is parsed once, and each file opened twice at the most."""

import os
import sys
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from bundle.tat.cases.fingerprint import fingerprint, n_bytes
from bundle.tat.cases.progress import count_slices
from bundle.tat.cases.table import CaseRow
from bundle.tat.data import search
from bundle.tat.data.datalist import find_scans
from bundle.tat.dicom import open as dicom_open
from bundle.tat.dicom import study
from bundle.tat.dicom.header import DicomHeader
from bundle.tat.file_digest import sampled_digest
from bundle.tat.walk import Walked
from tests.configs.conftest import foreign_directory, run_config  # noqa: F401 - the fixture
from tests.dicom_sources import stored_values, write_source

N_IMAGES = 20_001

_opened: Counter[str] = Counter()


def _count(event: str, arguments: tuple) -> None:
    if event == "open" and isinstance(arguments[0], (str, Path)):
        _opened[str(arguments[0])] += 1


sys.addaudithook(_count)  # Python has no way to take it off again; it costs a test nothing


class Half(torch.nn.Module):
    def forward(self, slices):
        return slices / 2


@pytest.fixture
def calls(monkeypatch) -> Counter[str]:
    """How often the steps of a search are taken, by name, and a header is parsed, by file."""
    counted: Counter[str] = Counter()

    def spy(module, name, key):
        function = getattr(module, name)

        def called(*arguments, **options):
            counted[key(*arguments)] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, called)

    spy(dicom_open, "parse_header", lambda path, *_: str(path))
    spy(study, "_look_into", lambda *_: "searches")
    spy(study, "group_series", lambda *_: "groupings")
    return counted


def change(series: int):
    def number(image, index):
        image.SeriesInstanceUID, image.SOPInstanceUID = f"1.2.{series}", f"1.2.{series}.{index + 1}"

    return number


@pytest.mark.parametrize("n_series", [1, 2])
def test_each_header_is_parsed_once_and_each_file_opened_twice(foreign_directory, calls, n_series):  # noqa: F811
    paths = [
        path
        for number, modality in enumerate(("CT", "PT")[:n_series])
        for path in write_source(
            foreign_directory / "study" / modality, stored_values(modality), modality, change=change(number)
        )
    ]
    _opened.clear()
    run_config(
        "inference.json", dataset_dir="study", output_dir="out", network=Half(), handlers=[], device="cpu", nifti=True
    )
    assert len(list((foreign_directory / "out").rglob("IM*.dcm"))) == len(paths)
    assert calls.pop("searches") == calls.pop("groupings") == 1
    assert calls == dict.fromkeys(map(str, paths), 1)
    assert {_opened[str(path)] for path in paths} == {2}


def test_a_finished_case_stays_finished_with_a_foreign_file_beside_its_slices(foreign_directory, calls):  # noqa: F811
    paths = write_source(foreign_directory / "series", stored_values("CT"), "CT")

    def run() -> list[CaseRow]:
        options = {"dataset_dir": "series", "output_dir": "out", "network": Half(), "handlers": [], "device": "cpu"}
        rows: list[CaseRow] = run_config("inference.json", **options).parser.get_parsed_content("evaluator").rows
        return rows

    assert [row.status for row in run()] == ["restored"]
    (foreign_directory / "series" / ".DS_Store").write_bytes(b"of a file manager")
    (foreign_directory / "series" / "notes.txt").write_text("seen")
    _opened.clear()
    assert [(row.status, row.message) for row in run()] == [
        ("skipped", "not DICOM"),
        ("skipped", "finished by an earlier run"),
    ]
    assert {_opened[str(path)] for path in paths} == {1}


def test_a_file_that_changed_is_digested_once(foreign_directory, monkeypatch):  # noqa: F811
    values = np.full((16, 16, 3), 40, np.float32)
    values[:4] = -1000
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.5, 1.5, 3, 1])), foreign_directory / "scan.nii.gz")
    digested: Counter[str] = Counter()

    def count(file, **options):
        digested[Path(file.name).name] += 1
        return sampled_digest(file, **options)

    monkeypatch.setattr("bundle.tat.cases.fingerprint.sampled_digest", count)

    def run() -> list[CaseRow]:
        options = {
            "dataset_dir": "scan.nii.gz",
            "output_dir": "out",
            "network": Half(),
            "handlers": [],
            "device": "cpu",
        }
        return run_config("inference.json", modality="CT", **options).parser.get_parsed_content("evaluator").rows

    for message in ("", "finished by an earlier run", "again: another scan had this name"):
        if message.startswith("again"):
            os.utime(foreign_directory / "scan.nii.gz", (1e9, 1e9))
        digested.clear()
        assert [row.message for row in run()] == [message]
        assert digested == {"scan.nii.gz": 1}


def test_a_large_study_is_searched_once(tmp_path, monkeypatch):
    """More images than any cache would hold, with a reader that stands in for the real one."""
    files = [tmp_path / f"{index // 1000:02d}" / f"{index:05d}.dcm" for index in range(N_IMAGES)]
    asked: Counter[Path] = Counter()

    def stand_in(path: Path) -> DicomHeader:
        asked[path] += 1
        series, index = divmod(int(path.stem), 1000)
        return DicomHeader(
            path=path,
            kind="CT Image Storage",
            instance_uid=f"1.2.{series}.{index}",
            identity=("1.2", f"1.2.{series}", "1.2.0"),
            series_number=series,
            modality="CT",
            rows=512,
            columns=512,
            position=(0.0, 0.0, float(index)),
            orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
            spacing=(0.8, 0.8),
            thickness=1.0,
            unit=(True, True, ""),
            not_an_image_reason=None,
            reason=None,
            n_bytes=526_000,
            digest=f"{index:064x}",
        )

    monkeypatch.setattr(search, "walk", lambda _: Walked(files, [], []))
    monkeypatch.setattr(study, "read_dicom_headers", lambda path: (stand_in(path),))
    found = find_scans(tmp_path)
    assert [count_slices(item, 2) for item in found.items] == [1000] * 20 + [1]
    assert sum(n_bytes(item) for item in found.items) == 526_000 * N_IMAGES
    assert len({fingerprint(item) for item in found.items}) == 2, "whole series of equal digests, and the last one"
    assert all(np.diff([header.position[2] for header in found.items[0]["series"].slices()]) == 1)
    assert asked == dict.fromkeys(files, 1)
