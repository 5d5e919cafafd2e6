"""Whole folders through ``inference.json``: what sidecars tell is used, and nothing is left out without a word."""

import json

import numpy as np
import pytest
import torch

from bundle.tat.cases.refusals import find_refusal
from tests.configs.conftest import run_config
from tests.configs.test_inference import restored
from tests.scans import blobs, write_nifti

SHAPE = (16, 13, 3)
ACTIVITY = blobs(SHAPE, 0, 20_000, seed=1)  # Bq/ml
# 74,000 g over half of 370 MBq.
FACTOR = 0.0004
PET_BIDS = {
    "Units": "Bq/mL",
    "TracerRadionuclide": "F18",
    "InjectedRadioactivity": 370,
    "InjectedRadioactivityUnits": "MBq",
    "TimeZero": "10:00:00",
    "ScanStart": 6586.2,
    "InjectionStart": 0,
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 6586.2,
}
TABLE = "participant_id\tweight\nsub-01\t74\nsub-02\tn/a\n"


class Recorder(torch.nn.Module):
    """Changes nothing and remembers the brightest value that it was shown, on the network's scale."""

    brightest = 0.0

    def forward(self, slices):
        self.brightest = max(self.brightest, float(slices.max()))
        return slices


@pytest.fixture
def bids(foreign_directory):
    root = foreign_directory / "bids"
    for subject in ("sub-01", "sub-02"):
        scan = write_nifti(root / subject / "pet" / f"{subject}_pet.nii.gz", ACTIVITY)
        scan.with_name(f"{subject}_pet.json").write_text(json.dumps(PET_BIDS))
    (root / "participants.tsv").write_text(TABLE)
    (root / "dataset_description.json").write_text("{}")
    return root


def restore(dataset_dir, **overrides):
    """The rows of the table, whatever becomes of the cases, and the network."""
    options = {"output_dir": "out", "handlers": [], "device": "cpu", "network": Recorder(), "inferer#progress": False}
    overrides = {**options, **overrides}
    rows = []
    refusal = None
    try:
        workflow = run_config("inference.json", dataset_dir=str(dataset_dir), **overrides)
        rows = workflow.parser.get_parsed_content("evaluator").rows
    except RuntimeError as error:  # MONAI's, around it
        refusal = find_refusal(error)
    return rows, overrides["network"], refusal


def test_a_pet_bids_subject_is_restored_in_suv_and_saved_in_its_own_unit(bids, foreign_directory):
    rows, network, _ = restore(bids / "sub-01")
    assert [(row.case, row.modality, row.status) for row in rows] == [("sub-01_pet", "PET", "restored")]
    assert network.brightest * 20 == pytest.approx(20_000 * FACTOR, rel=1e-5)
    result = restored(foreign_directory / "out", "sub-01_pet")[0].numpy()
    np.testing.assert_allclose(result, ACTIVITY, atol=20_000 * 1e-6)


def test_a_subject_that_was_not_weighed_fails_and_the_other_goes_on(bids, foreign_directory, capsys):
    _, _, refusal = restore(bids)
    assert "1 case failed (sub-02_pet)" in str(refusal)
    lines = capsys.readouterr().out.splitlines()
    (failed,) = [line for line in lines if line.startswith("sub-02_pet ")]
    assert "failed" in failed
    assert "SUV also needs the body weight (BodyWeight, or weight in participants.tsv)" in failed
    assert "--pet_scale" in failed
    assert (foreign_directory / "out" / "sub-01_pet").is_dir()


def test_pet_scale_holds_over_the_sidecar_and_says_so(bids, caplog):
    _, network, _ = restore(bids / "sub-01", pet_scale=FACTOR / 2)
    assert network.brightest * 20 == pytest.approx(10_000 * FACTOR, rel=1e-5)
    assert "pet_scale 0.0002 is used, not the factor 0.0004 of the sidecar" in caplog.messages


def test_a_case_is_restored_again_when_its_sidecar_was_corrected(bids):
    assert [row.message for row in restore(bids / "sub-01")[0]] == [""]
    assert [row.message for row in restore(bids / "sub-01")[0]] == ["finished by an earlier run"]
    (bids / "participants.tsv").write_text(TABLE.replace("74", "37"))
    rows, network, _ = restore(bids / "sub-01")
    assert [row.message for row in rows] == ["again: another scan had this name"]
    assert network.brightest * 20 == pytest.approx(10_000 * FACTOR, rel=1e-5)


def test_a_sidecar_that_contradicts_the_user_is_refused(bids):
    _, _, refusal = restore(bids / "sub-01", modality="CT")
    assert "its BIDS name says PET, --modality says CT" in str(refusal)


@pytest.mark.parametrize(("word", "modality"), [("MR", "MRI"), ("CT", "CT"), ("PT", "PET")])
def test_the_modality_of_dcm2niix_is_heard(foreign_directory, word, modality):
    low, high = {"MRI": (0, 900), "CT": (-1000, 1000), "PET": (0, 9)}[modality]
    write_nifti(foreign_directory / "in" / "head_5.nii.gz", blobs(SHAPE, low, high))
    (foreign_directory / "in" / "head_5.json").write_text(json.dumps({"Modality": word}))
    rows, _, _ = restore("in")
    assert [(row.case, row.modality, row.status) for row in rows] == [("head_5", modality, "restored")]


def test_every_file_that_says_it_is_an_image_has_a_row(foreign_directory, capsys):
    folder = foreign_directory / "in"
    write_nifti(folder / "a" / "x.nii.gz", blobs(SHAPE, -1000, 1000))
    write_nifti(folder / "b" / "x.nii.gz", blobs(SHAPE, -1000, 1000))
    write_nifti(folder / "4d.nii.gz", np.zeros((4, 4, 3, 2), np.float32))
    (folder / "lost.nii.gz").symlink_to(".git/annex/objects/lost.nii.gz")
    (folder / "old.mnc").write_bytes(b"CDF\x01")
    for name in ("notes.txt", "table.tsv", "plot.png"):
        (folder / name).write_bytes(b"x")
    _, _, refusal = restore("in", modality="CT")
    assert "3 cases failed (4d, lost, old.mnc)" in str(refusal)
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "fetch its content (git-annex: git annex get)" in said["lost"]
    assert "convert it to NIfTI" in said["old.mnc"]
    assert {"a_x", "b_x", "4d", "lost", "old.mnc"} <= set(said)
    assert not {"notes.txt", "table.tsv", "plot.png"} & set(said)
    assert "restored" in said["a_x"]
    again, _, _ = restore(".", modality="CT")  # the results lie in it as well
    assert not again
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "already restored by TAT" in said["out"]
