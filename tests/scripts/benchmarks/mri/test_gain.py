"""Gain by the part of k-space, with a stand-in for the network."""

from __future__ import annotations

import importlib
import json

import nibabel
import numpy as np
import pytest

from bundle.tat.simulation.mri import KSpaceCoverage, acquire
from tests.kspace.test_support import anatomy
from tests.scans import write_nifti


@pytest.fixture
def gain():
    return importlib.import_module("scripts.benchmarks.mri.gain")


class Unchanging:
    """A stand-in for the pipeline: it gives back what it gets, and knows no part."""

    def __init__(self, _=None):
        self.provenance = {"weights_sha256": "0" * 64, "bundle_version": "0"}

    def restore(self, volume, _):
        return volume

    def refusal(self, _):
        return "another part"


@pytest.fixture
def datalist(tmp_path):
    volume = np.stack([anatomy(seed) for seed in range(4)], axis=-1).astype(np.float32)
    write_nifti(tmp_path / "a.nii.gz", volume, np.diag([1.0, 1.0, 5.0, 1.0]))
    entry = {"label": "a.nii.gz", "modality": "MRI", "subject": "a"}
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"testing": [entry, entry, {**entry, "modality": "CT", "subject": "b"}]}))
    return path


def test_each_subject_is_read_once_with_slices_from_its_middle(gain, datalist):
    ((subject, clean),) = gain.clean_scans([datalist], "testing", 2)
    whole = nibabel.load(datalist.parent / "a.nii.gz").get_fdata(dtype=np.float32)
    assert subject == "a"
    np.testing.assert_array_equal(clean.values, whole[..., [1, 2]])


def test_every_condition_is_measured_and_written(gain, datalist, monkeypatch):
    monkeypatch.setattr(gain, "MriPipeline", Unchanging)
    table = datalist.parent / "gain.json"
    gain.main(["--datalists", str(datalist), "--n_slices", "4", "--table", str(table)])
    found = json.loads(table.read_text())
    assert len(found["rows"]) == sum(len(condition.kept) for condition in gain.CONDITIONS)
    for row in found["rows"]:
        assert row["restored"] == row["zero_filled"]
        assert row["refused"] == "another part"
    by_part = {tuple(row["kept"]): row["zero_filled"]["psnr"] for row in found["rows"][:16]}
    assert by_part[0.25, 0.25] < by_part[0.25, 0.5] < by_part[0.67, 0.67]


def test_parts_that_cut_nothing_off_are_left_out(gain, datalist):
    ((_, clean),) = gain.clean_scans([datalist], "testing", 4)
    coverage = KSpaceCoverage(kept=(0.4, 1.0))
    filled = np.stack([acquire(image, seed=0, coverage=coverage) for image in np.moveaxis(clean.values, 2, 0)], axis=2)
    rows = list(gain.run("a", clean._replace(values=filled), Unchanging()))
    own = [row["kept"] for row in rows if row["pixel_size"] == 1.0 and row["contrast"] == "own"]
    assert {first for first, _ in own} == {0.25, 0.33}
    assert {second for _, second in own} == set(gain.PARTS)
