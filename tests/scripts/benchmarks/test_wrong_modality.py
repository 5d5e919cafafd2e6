"""Scans that are declared as what they are not: every one is tried, and scored as what it is."""

from __future__ import annotations

import importlib
import json

import nibabel
import numpy as np
import pytest

from bundle.tat.modality import Modality
from tests.scans import blobs, write_nifti


@pytest.fixture
def wrong(monkeypatch):
    return importlib.import_module("scripts.benchmarks.wrong_modality")


@pytest.fixture
def data(wrong, tmp_path):
    ranges = {Modality.CT: (-100, 200), Modality.MRI: (100, 1000), Modality.PET: (0, 9)}
    for part in wrong.SCANS:
        clean = blobs((32, 24, 3), *ranges[part.modality])
        write_nifti(tmp_path / part.path("full"), clean)
        write_nifti(tmp_path / part.path("low"), (clean + 0.1 * clean.std()).astype(np.float32))
    return tmp_path


def test_one_scan_of_each_modality_is_declared_as_each(wrong, data):
    assert sorted(part.modality for part in wrong.SCANS) == sorted(Modality)
    listed = wrong.copy_scans(data, data / "out")
    declared = {(entry["image"], entry["modality"]) for entry in listed["declared"]}
    names = [(a.value, b.value) for a in Modality for b in Modality]
    assert declared == {(f"{a.lower()}_as_{b.lower()}.nii.gz", b) for a, b in names}
    assert all(listed[f"{a.lower()}_as_{b.lower()}"][0]["modality"] == a for a, b in names)
    assert all((data / "out" / image).is_file() for image, _ in declared)


def test_what_is_refused_is_tried_again_and_the_rest_scored_as_what_it_is(wrong, data, monkeypatch):
    tried = []

    def restore(datalist, section, restored, *, any_resolution):
        refused = {"pet_as_mri": "unit"} if any_resolution else {"pet_as_mri": "k-space", "ct_as_mri": "k-space"}
        for entry in json.loads(datalist.read_text())[section]:
            name = entry["image"].removesuffix(".nii.gz")
            tried.append((name, any_resolution))
            if name not in refused:
                clean = nibabel.load(entry["label"])
                volume = clean.get_fdata(dtype=np.float32)
                write_nifti(restored / name / f"{name}_restored.nii.gz", volume, clean.affine)
        return refused

    monkeypatch.setattr(wrong, "restore", restore)
    table = data / "table.json"
    wrong.main(["--data", str(data), "--out", str(data / "out"), "--table", str(table)])
    assert sorted(name for name, is_again in tried if is_again) == ["ct_as_mri", "pet_as_mri"]
    found = {(row["scan"], row["declared"]): row for row in json.loads(table.read_text())}
    assert len(found) == 9
    again = {"refused": "k-space", "refused_again": "unit"}
    assert found["PET", "MRI"] == {"scan": "PET", "declared": "MRI", **again}
    assert (found["CT", "MRI"]["refused"], found["CT", "MRI"]["refused_again"]) == ("k-space", None)
    assert found["CT", "MRI"]["restored"] == 100
    assert 0 < found["CT", "MRI"]["input"] < 100
    assert found["CT", "MRI"]["input"] == found["CT", "CT"]["input"]
