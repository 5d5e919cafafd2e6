"""Reading what is scored: three volumes on one grid, or a refusal that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from bundle.tat.evaluation.cases import read_cases
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError

AFFINE = np.array([[-1.9, 0.1, 0.0, 90.0], [0.1, 1.9, 0.3, -80.0], [0.0, -0.2, 5.0, -40.0], [0.0, 0.0, 0.0, 1.0]])


def write(path: Path, volume: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume.astype(np.float32), affine), path)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A datalist of one scan with its restoration under ``restored``."""
    label = 1000 * np.random.default_rng(0).random((7, 9, 3))
    write(tmp_path / "scans" / "p1.v2_low.nii.gz", label + 100.0)
    write(tmp_path / "scans" / "p1.v2_full.nii.gz", label)
    write(tmp_path / "restored" / "p1.v2_low" / "p1.v2_low_restored.nii.gz", label + 50.0)
    entry = {"image": "scans/p1.v2_low.nii.gz", "label": "scans/p1.v2_full.nii.gz", "modality": "MR"}
    (tmp_path / "datalist.json").write_text(json.dumps({"testing": [entry]}))
    return tmp_path


def read(dataset: Path, section: str = "testing"):
    return read_cases(dataset / "datalist.json", section, dataset / "restored")


def test_reads_the_three_volumes(dataset):
    (case,) = read(dataset)
    assert (case.name, case.modality) == ("p1.v2_low", Modality.MRI)
    assert case.image.dtype == np.float32
    np.testing.assert_allclose(case.image - case.label, 100.0, atol=1e-3)
    np.testing.assert_allclose(case.restored - case.label, 50.0, atol=1e-3)
    np.testing.assert_allclose(case.affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize(
    ("volume", "shift", "message"),
    [
        (np.zeros((7, 9, 4)), 0.0, r"restored.nii.gz \(shape \(7, 9, 4\).* is not on the grid of .*low.nii.gz"),
        (np.zeros((7, 9, 3)), 0.01, "is not on the grid of"),
        (np.full((7, 9, 3), np.nan), 0.0, "holds NaN or infinite values"),
        (np.zeros((7, 9, 3, 2)), 0.0, "has 4 axes, but a score needs 3"),
    ],
)
def test_a_restoration_that_cannot_be_scored_is_refused(dataset, volume, shift, message):
    affine = AFFINE.copy()
    affine[0, 3] += shift
    write(dataset / "restored" / "p1.v2_low" / "p1.v2_low_restored.nii.gz", volume, affine)
    with pytest.raises(RefusedInputError, match=message):
        read(dataset)


def test_rounding_of_an_affine_is_no_difference(dataset):
    path = dataset / "restored" / "p1.v2_low" / "p1.v2_low_restored.nii.gz"
    write(path, np.zeros((7, 9, 3)), AFFINE + 1e-4)
    assert read(dataset)


def test_subjects_are_taken_from_the_datalist(dataset):
    assert read(dataset)[0].subject is None
    path = dataset / "datalist.json"
    (entry,) = json.loads(path.read_text())["testing"]
    path.write_text(json.dumps({"testing": [{**entry, "subject": 7}]}))
    assert read(dataset)[0].subject == "7"


def test_what_is_missing_is_named(dataset):
    with pytest.raises(RefusedInputError, match=r"has no section 'validation': pass one of \['testing'\]"):
        read(dataset, "validation")
    (dataset / "restored" / "p1.v2_low" / "p1.v2_low_restored.nii.gz").unlink()
    with pytest.raises(RefusedInputError, match=r"p1.v2_low_restored.nii.gz is missing"):
        read(dataset)
    with pytest.raises(RefusedInputError, match="cannot read the datalist"):
        read_cases(dataset / "none.json", "testing", dataset)


def test_entries_are_checked(dataset):
    (dataset / "scan.nrrd").touch()
    (dataset / "scan.png").touch()
    for testing, message in (
        ([], "section 'testing' .* is empty"),
        ([{"image": "scan.nrrd", "modality": "CT"}], r"lacks \['label'\]"),
        ([{"image": "scan.png", "label": "scan.png", "modality": "CT"}], "has a format that cannot be scored"),
        ([{"image": "scan.nrrd", "label": "scan.nrrd", "modality": "CT"}], "scan.nrrd: its header is missing"),
    ):
        (dataset / "datalist.json").write_text(json.dumps({"testing": testing}))
        with pytest.raises(RefusedInputError, match=message):
            read(dataset)
