"""``tat info``: what an input holds and what would become of it, without restoring it."""

import json
import re

import nibabel
import numpy as np
import pytest

from bundle.tat_command import main
from tests.scans import blobs, edit_dicom, four_dimensional, oblique_affine, unreadable, write_dicom_series, write_nifti
from tests.test_layout import ROOT

SAMPLES = ROOT / "tests" / "samples"
CT = np.moveaxis(blobs((16, 13, 3), -1000, 1000), -1, 0).astype(np.int16)
WHOLE = {"scans", "skipped", "refused"}
PET_TAGS = {"CorrectedImage": ["ATTN", "DECY"], "PatientName": "Nobody^Known", "PatientID": "1234567"}


@pytest.fixture(autouse=True)
def _elsewhere(foreign_directory):
    """None of it depends on where it is asked."""


def info(capsys, *words):
    """What ``--json`` says."""
    assert main(["info", *map(str, words), "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    content = json.loads(shown.out)
    assert set(content) == WHOLE
    return content


def only(content):
    (scan,) = content["scans"]
    return scan


def test_a_datalist_is_told_scan_by_scan(capsys):
    content = info(capsys, SAMPLES / "datalist.json")
    assert not content["skipped"]
    assert not content["refused"]
    assert content["scans"][0] == {
        "name": "ct_lung1_low",
        "path": str(SAMPLES / "ct_lung1_low.nii.gz"),
        "n_files": 1,
        "result": "restored",
        "reason": "",
        "notes": [],
        "format": "NIfTI",
        "modality": "CT",
        "modality_from": "the datalist",
        "shape": [255, 247, 9],
        "n_slices": 9,
        "voxel_size": pytest.approx([0.5703125, 0.5703125, 5.0]),
        "orientation": "LPS",
        "unit": "HU",
        "unit_from": "the modality",
        "dtype": "int16",
    }
    assert [(scan["modality"], scan["unit"]) for scan in content["scans"][1:]] == [("MRI", "a.u."), ("PET", "SUV")]


def test_a_series_tells_more(capsys):
    scan = only(info(capsys, SAMPLES / "dicom_mr"))
    assert (scan["format"], scan["n_files"], scan["shape"], scan["n_slices"]) == ("DICOM", 6, [256, 256, 6], 6)
    assert (scan["modality"], scan["modality_from"], scan["unit_from"]) == ("MRI", "the file", "the file")
    assert scan["dtype"] == "int16"


def test_a_person_gets_a_table(capsys):
    assert main(["info", str(SAMPLES / "dicom_mr")]) == 0
    heading, row, total, note = capsys.readouterr().out.splitlines()
    assert heading.split("  ")[0] == "scan"
    cells = ["dicom_mr", "6", "DICOM", "MRI (the file)", "256 x 256 x 6", "6", "0.8594 x 0.8594 x 7.003", "LPS"]
    assert re.split(r"\s{2,}", row) == [*cells, "a.u.", "int16", "restored"]
    assert total == "1 restored"
    assert "--deep" in note


def test_voxels_are_as_large_as_the_affine_says(tmp_path, capsys):
    path = write_nifti(tmp_path / "x.nii.gz", CT.astype(np.float32), oblique_affine((0.5, 2.0, 3.0)))
    scan = only(info(capsys, path, "--modality", "PET"))
    assert scan["voxel_size"] == pytest.approx([0.5, 2.0, 3.0])
    assert (scan["modality_from"], scan["dtype"], scan["n_slices"]) == ("--modality", "float32", 13)
    assert only(info(capsys, path, "--slice_axis", "0"))["n_slices"] == 3


def complex_values(folder):
    nibabel.save(nibabel.Nifti1Image(np.ones((8, 8, 3), dtype=np.complex64), np.eye(4)), folder / "x.nii.gz")
    return folder / "x.nii.gz"


def colours(folder):
    values = np.zeros((8, 8, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / "x.nii.gz")
    return folder / "x.nii.gz"


def missing_slice(folder):
    write_dicom_series(folder / "x", np.concatenate([CT, CT]))[2].unlink()
    return folder / "x"


def pet_without_dose(folder):
    write_dicom_series(folder / "x", CT, modality="PT", units="BQML", **PET_TAGS)
    return folder / "x"


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (four_dimensional, "image of 8 x 8 x 3 x 2 has a fourth dimension or colours"),
        (unreadable, "cannot read "),
        (complex_values, "is complex"),
        (colours, "has a fourth dimension or colours"),
        (missing_slice, "1 slice is missing between them"),
        (pet_without_dose, "Patient's Weight (0010,1030) is missing"),
    ],
)
def test_what_a_header_speaks_against_is_refused(write, reason, tmp_path, capsys):
    path = write(tmp_path)
    scan = only(info(capsys, path, *(["--modality", "CT"] if path.is_file() else [])))
    assert scan["result"] == "refused"
    assert reason in scan["reason"]


def test_nothing_tells_the_modality(tmp_path, capsys):
    scan = only(info(capsys, write_nifti(tmp_path / "x.nii.gz", CT)))
    assert scan["result"] == "refused"
    assert scan["reason"].startswith("nothing tells the modality")
    assert (scan["modality"], scan["unit"], scan["shape"]) == ("", "", [3, 16, 13])


def test_deep_runs_the_checks_of_the_preprocessing(tmp_path, capsys):
    volume = blobs((16, 13, 3), -1000, 1000)
    write_nifti(tmp_path / "in" / "fine.nii.gz", volume, np.diag([9.0, 9.0, 9.0, 1.0]))
    write_nifti(tmp_path / "in" / "nan.nii.gz", np.where(volume == volume.max(), np.nan, volume))
    write_nifti(tmp_path / "in" / "other.nii.gz", volume + 9000)
    words = [tmp_path / "in", "--modality", "CT"]
    assert [scan["result"] for scan in info(capsys, *words)["scans"]] == ["restored"] * 3
    fine, nan, other = info(capsys, *words, "--deep")["scans"]
    assert fine["result"] == "restored"
    assert fine["notes"] == ["pixels of 9 x 9 mm lie outside the 0.45 to 3.4 mm that the weights were trained on"]
    assert nan["reason"].startswith("1 of 624 voxels are NaN or infinite")
    assert other["reason"].startswith("624 of 624 voxels (100 %) lie outside")


def test_ids_change_what_deep_refuses(tmp_path, capsys):
    path = write_nifti(tmp_path / "x.nii.gz", np.random.default_rng(0).uniform(0, 99, (80, 80, 2)).astype(np.float32))
    words = [path, "--modality", "MRI", "--deep"]
    assert "fills k-space" in only(info(capsys, *words))["reason"]
    assert only(info(capsys, *words, "--any_resolution"))["result"] == "restored"


def test_an_unknown_id_is_refused(capsys):
    assert main(["info", str(SAMPLES / "dicom_mr"), "--any_resolutoin"]) == 1
    assert capsys.readouterr().err == (
        "refused: any_resolutoin is no id of inference.json: did you mean any_resolution?\n"
    )


def test_what_is_skipped_is_told(tmp_path, capsys):
    write_dicom_series(tmp_path / "in" / "ct", CT)
    for path in write_dicom_series(tmp_path / "in" / "scout", CT, series_uid="1.2.9"):
        edit_dicom(path, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    content = info(capsys, tmp_path / "in")
    assert [scan["name"] for scan in content["scans"]] == ["ct"]
    (skipped,) = content["skipped"]
    assert (skipped["name"], skipped["n_images"]) == ("scout", 3)
    assert skipped["reason"].startswith("a localizer")

    alone = info(capsys, tmp_path / "in" / "scout")
    assert [one["n_images"] for one in alone["skipped"]] == [3]
    assert "holds no NIfTI, NRRD or DICOM scan that can be restored" in alone["refused"]


def test_a_folder_that_is_refused_is_told_all_the_same(tmp_path, capsys):
    write_dicom_series(tmp_path / "in", CT)
    write_nifti(tmp_path / "in" / "x.nii.gz", CT)
    content = info(capsys, tmp_path / "in", "--modality", "CT")
    assert [scan["name"] for scan in content["scans"]] == ["x", "in"]
    assert "pass one folder" in content["refused"]
    assert main(["info", str(tmp_path / "in")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("refused: ")


def test_no_patient_is_named(tmp_path, capsys):
    for path in write_dicom_series(tmp_path / "in", CT, modality="PT", units="BQML", **PET_TAGS):
        edit_dicom(path, SeriesDescription="of Nobody", PatientBirthDate="19700101", PatientWeight=71.5)
    for words in (["--json"], []):
        main(["info", str(tmp_path / "in"), *words])
        shown = capsys.readouterr()
        assert not [word for word in ("Nobody", "1234567", "19700101", "71.5") if word in shown.out + shown.err]


def test_what_is_not_there_is_refused(capsys):
    assert main(["info", "nowhere"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("refused: ")
    assert shown.err.count("\n") == 1


def test_a_bids_folder_is_told_with_what_its_sidecars_say(capsys, tmp_path):
    pet = write_nifti(tmp_path / "sub-1" / "pet" / "sub-1_pet.nii.gz", blobs((4, 5, 3), 0, 9000))
    pet.with_name("sub-1_pet.json").write_text('{"Units": "Bq/mL"}')
    write_nifti(tmp_path / "sub-1" / "anat" / "sub-1_T1w.nii.gz", blobs((4, 5, 3), 0, 900))
    write_nifti(tmp_path / "sub-1" / "anat" / "sub-1_dseg.nii.gz", blobs((4, 5, 3), 0, 9))
    (tmp_path / "old.mnc").write_bytes(b"CDF")
    content = info(capsys, tmp_path)
    old, anat, scan = content["scans"]
    assert (anat["name"], anat["modality"], anat["modality_from"]) == ("sub-1_T1w", "MRI", "its BIDS name")
    assert (scan["unit"], scan["unit_from"]) == ("Bq/mL", "its sidecar sub-1_pet.json")
    assert [one["result"] for one in (old, anat, scan)] == ["refused", "restored", "refused"]
    assert "InjectionStart" in scan["reason"]
    assert [one["name"] for one in content["skipped"]] == ["sub-1/anat/sub-1_dseg.nii.gz"]
    assert info(capsys, tmp_path, "--pet_scale", "0.001")["scans"][2]["result"] == "restored"
