"""What stands beside a scan: JSON of its own name, what BIDS lets it inherit, the table of participants."""

import json

import pytest

from bundle.tat.cases.fingerprint import fingerprint
from bundle.tat.data.bids import bids_modality
from bundle.tat.data.sidecar import Sidecar, read_sidecar, sidecar_of
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from tests.scans import blobs, write_dicom_series, write_nifti

VOLUME = blobs((4, 5, 3), 0, 100)


def write(path, **fields):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields))
    return path


@pytest.fixture
def scan(tmp_path):
    return write_nifti(tmp_path / "sub-01" / "pet" / "sub-01_run-1_pet.nii.gz", VOLUME)


def beside(scan, **fields):
    return write(scan.with_name(scan.name.replace(".nii.gz", ".json")), **fields)


def test_a_scan_has_the_json_of_its_own_name(scan):
    assert read_sidecar(scan) is None
    path = beside(scan, Modality="PT", Units="Bq/mL")
    sidecar = read_sidecar(scan)
    assert sidecar.path == path
    assert sidecar.modality == "PT"
    assert sidecar.text("Units") == "Bq/mL"


def test_json_of_other_names_tells_nothing(scan):
    write(scan.with_name("other.json"), Modality="CT")
    write(scan.with_name("sub-01_pet.json"), Modality="CT")  # inherited in a BIDS data set alone
    assert read_sidecar(scan) is None


def test_a_bids_scan_inherits_and_the_nearest_holds(scan, tmp_path):
    write(tmp_path / "dataset_description.json", Name="x")
    write(tmp_path / "pet.json", A=1, B=1, C=1, D=1)
    write(tmp_path / "run-1_pet.json", B=2)
    write(tmp_path / "sub-01" / "sub-01_pet.json", C=3)
    write(tmp_path / "run-2_pet.json", A=9)
    write(tmp_path / "T1w.json", A=9)
    assert read_sidecar(scan).fields == {"A": 1, "B": 2, "C": 3, "D": 1}
    beside(scan, D=4)
    assert read_sidecar(scan).fields == {"A": 1, "B": 2, "C": 3, "D": 4}


@pytest.mark.parametrize("content", [b"{", b'{"Modality": "P', b"\xff\xfe"])
def test_a_broken_sidecar_is_refused_by_name(scan, content):
    beside(scan).write_bytes(content)
    with pytest.raises(RefusedInputError, match=r"sub-01_run-1_pet\.json beside the scan cannot be read as JSON"):
        read_sidecar(scan)


def test_a_sidecar_that_is_not_there_is_not_taken_for_none(scan):
    scan.with_name("sub-01_run-1_pet.json").symlink_to("annexed")
    with pytest.raises(RefusedInputError, match="a link to a file that is not there"):
        read_sidecar(scan)


def test_json_without_entries_tells_nothing(scan):
    beside(scan).write_text("[1, 2]")
    assert read_sidecar(scan) is None


@pytest.mark.parametrize(
    ("value", "expected"), [(3, (3.0,)), ("2.5", (2.5,)), ([1, 2], (1.0, 2.0)), ("n/a", ()), (None, ())]
)
def test_numbers(tmp_path, value, expected):
    assert Sidecar(tmp_path / "x.json", {"A": value}).numbers("A") == expected
    assert Sidecar(tmp_path / "x.json", {}).number("A") is None


@pytest.mark.parametrize("value", [True, "soon", {"a": 1}, [], [1, None], float("nan"), "inf"])
def test_what_is_no_number_is_refused(tmp_path, value):
    with pytest.raises(RefusedInputError, match=r"A in x\.json is not a number"):
        Sidecar(tmp_path / "x.json", {"A": value}).numbers("A")


def test_one_number_is_not_several(tmp_path):
    with pytest.raises(RefusedInputError, match=r"A in x\.json has 2 values instead of 1"):
        Sidecar(tmp_path / "x.json", {"A": [1, 2]}).number("A")


@pytest.mark.parametrize(("cell", "values"), [("70.5", ("70.5",)), ("n/a", None), ("", None)])
def test_the_weight_of_a_participant(scan, tmp_path, cell, values):
    beside(scan, Units="Bq/mL")
    (tmp_path / "participants.tsv").write_text(f"participant_id\tsex\tweight\nsub-02\tM\t99\nsub-01\tF\t{cell}\n")
    assert read_sidecar(scan).participant_weight == (values and (values, ""))
    write(tmp_path / "participants.json", weight={"Units": "lb"})
    assert read_sidecar(scan).participant_weight == (values and (values, "lb"))


def test_a_table_that_cannot_be_read_is_refused(scan, tmp_path):
    beside(scan, Units="Bq/mL")
    (tmp_path / "participants.tsv").write_bytes(b"participant_id\tweight\nsub-01\t\xff\n")
    with pytest.raises(RefusedInputError, match=r"participants\.tsv cannot be read as a table"):
        read_sidecar(scan)


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("sub-01_pet.nii.gz", Modality.PET),
        ("sub-01_ses-2_run-1_T1w.nii", Modality.MRI),
        ("sub-01_acq-x_FLAIR.nii.gz", Modality.MRI),
        ("sub-01_ct.nii.gz", None),
        ("sub-01_T1map.nii.gz", None),
        ("sub-01_dseg.nii.gz", None),
        ("T1w.nii.gz", None),
        ("patient_pet.nii.gz", None),
    ],
)
def test_bids_names_stand_for_a_modality(tmp_path, name, modality):
    assert bids_modality(tmp_path / name) is modality


def test_a_case_is_another_when_its_sidecar_is(scan):
    item = {"image": str(scan)}
    alone = fingerprint(item)
    beside(scan, BodyWeight=70)
    with_sidecar = fingerprint(item)
    beside(scan, BodyWeight=71)
    assert len({alone, with_sidecar, fingerprint(item)}) == 3
    assert fingerprint({**item, "sidecar": None}) == alone, "what an item brings along is not read again"


def test_dicom_has_none(tmp_path):
    write_dicom_series(tmp_path / "series", VOLUME)
    write(tmp_path / "series.json", Modality="PT")
    assert sidecar_of({"image": str(tmp_path / "series")}) is None


@pytest.mark.parametrize(
    ("image_type", "reason"),
    [
        (["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], None),
        (["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], None),
        (["ORIGINAL", "PRIMARY", "P", "ND", "PHASE"], "a phase image"),
        (["DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND"], "a map of diffusion"),
        (["DERIVED", "PRIMARY", "T1 MAP", "ND"], "a parametric map"),
        (["ORIGINAL", "PRIMARY", "VELOCITY", "V"], "a velocity image"),
        (None, None),
    ],
    ids=str,
)
def test_what_is_no_anatomy_is_told_by_image_type(tmp_path, image_type, reason):
    """A mosaic has been taken apart by the converter."""
    sidecar = Sidecar(tmp_path / "x.json", {"Modality": "MR", "ImageType": image_type})
    told = sidecar.not_a_slice_reason
    assert told is None if reason is None else told.startswith(reason)
