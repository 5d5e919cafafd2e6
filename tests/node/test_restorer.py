"""Restoring a job by the case runner, with a network that is not trained."""

import errno
import json
import shutil
from pathlib import Path

import pydicom
import pytest

from bundle.tat.node.restorer import DiskFullError, SeriesRestorer
from bundle.tat.transforms.save import SaveRestoredd
from tests.configs.conftest import weights  # noqa: F401 - the fixture
from tests.dicom_sources import stored_values, write_source


@pytest.fixture
def restorer(tmp_path, weights):  # noqa: F811
    (tmp_path / "results").mkdir()
    return SeriesRestorer(tmp_path / "results", tmp_path / "received", ckpt_path=str(weights), device="cpu")


def of_series(folder, number: int, modality: str = "CT", n_slices: int = 3, **tags):
    def change(image: pydicom.Dataset, index: int) -> None:
        image.SeriesInstanceUID, image.SeriesNumber = f"1.2.3.{number}", number
        image.SOPInstanceUID = f"1.2.3.{number}.{index + 1}"
        for name, value in tags.items():
            setattr(image, name, value)

    return write_source(folder, stored_values(modality, n_slices, 20, 30), modality, change=change)


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_a_job_gives_a_derived_series(restorer, tmp_path, modality):
    files = of_series(tmp_path / "received" / "1", 1, modality)
    restored = restorer.restore(7, files)
    assert (restored.n_volumes, restored.refused, restored.reason) == (1, [], "")
    assert [path.relative_to(tmp_path / "results").as_posix() for path in restored.files] == [
        f"7-1/IM000{number}.dcm" for number in (1, 2, 3)
    ]
    made = [pydicom.dcmread(path) for path in restored.files]
    assert {image.SOPInstanceUID for image in made}.isdisjoint(pydicom.dcmread(path).SOPInstanceUID for path in files)
    assert {image.PatientName for image in made} == {pydicom.dcmread(files[0]).PatientName}
    assert json.loads((tmp_path / "results" / "7-1" / "restoration.json").read_text())["case"] == "7-1"


def test_a_remark_is_told_in_the_record_and_in_the_images(restorer, tmp_path):
    restored = restorer.restore(
        7, of_series(tmp_path / "received" / "1", 1), "the series may be incomplete: it broke off"
    )
    record = json.loads((tmp_path / "results" / "7-1" / "restoration.json").read_text())
    assert record["assumptions"] == ["the series may be incomplete: it broke off"]
    for path in restored.files:
        assert "; the series may be incomplete: it broke off" in pydicom.dcmread(path).DerivationDescription


def test_what_an_earlier_try_has_finished_stays(restorer, tmp_path):
    files = of_series(tmp_path / "received" / "1", 1)
    first = restorer.restore(7, files)
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in first.files]
    again = restorer.restore(7, files)
    assert [pydicom.dcmread(path).SOPInstanceUID for path in again.files] == uids


def test_only_the_objects_of_the_job_are_restored(restorer, tmp_path):
    files = of_series(tmp_path / "received" / "1", 1, n_slices=4)
    assert len(restorer.restore(7, sorted(files)[:3]).files) == 3


def test_a_bad_series_is_refused_in_words(restorer, tmp_path):
    files = of_series(tmp_path / "received" / "1", 1, n_slices=4)
    restored = restorer.restore(7, [path for path in files if path != files[1]])  # a slice is missing
    assert restored.files == []
    assert "1 slice is missing" in restored.reason
    assert "Müller" not in restored.reason


def test_a_derived_series_that_comes_back_is_refused(restorer, tmp_path):
    first = restorer.restore(7, of_series(tmp_path / "received" / "1", 1))
    (tmp_path / "received" / "2").mkdir()
    again = restorer.restore(8, [Path(shutil.copy(file, tmp_path / "received" / "2")) for file in first.files])
    assert again.files == []
    assert "already restored by TAT" in again.reason


def test_volumes_of_a_job_do_not_stop_each_other(restorer, tmp_path):
    files = of_series(tmp_path / "received" / "1", 1)
    scout = of_series(tmp_path / "received" / "1" / "b", 2, n_slices=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    restored = restorer.restore(7, [*files, *scout])
    assert restored.n_volumes == 1
    assert "localizer" in restored.reason


def test_a_full_disk_is_no_refusal(restorer, tmp_path, monkeypatch):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SaveRestoredd, "_save", fill)
    with pytest.raises(DiskFullError):
        restorer.restore(7, of_series(tmp_path / "received" / "1", 1))
