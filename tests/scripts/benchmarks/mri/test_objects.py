"""What becomes of MR objects in folders."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest

from tests.dicom_sources import write_source
from tests.kspace.test_support import anatomy

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def objects():
    return importlib.import_module("scripts.benchmarks.mri.objects")


def test_series_and_single_files_are_told_apart(objects, tmp_path):
    pixels = np.zeros((3, 8, 8), np.uint16)

    def at_one_place(image, _):
        image.ImagePositionPatient = [0, 0, 0]

    write_source(tmp_path / "series", pixels, "MR")
    write_source(tmp_path / "copies", pixels, "MR", change=at_one_place)
    write_source(tmp_path / "ct", pixels.astype(np.int16), "CT")
    (tmp_path / "note.txt").write_text("no scan")
    assert sorted(len(one.files) for one in objects.find_objects(tmp_path)) == [1, 1, 1, 3]


def test_each_object_has_its_outcome_and_sentence(objects, tmp_path):
    sharp = np.stack([anatomy(seed, (128, 96)) for seed in range(2)]).round().astype(np.uint16)

    def to_phase(image, _):
        image.ImageType = ["ORIGINAL", "PRIMARY", "P", "ND"]

    def with_matrix(image, _):
        image.AcquisitionMatrix = [96, 0, 0, 128]

    write_source(tmp_path / "in" / "sharp", sharp, "MR", change=with_matrix)
    write_source(tmp_path / "in" / "phase", sharp, "MR", change=to_phase)
    objects.main([str(tmp_path / "in"), "--table", str(tmp_path / "objects.json")])
    phase, whole = json.loads((tmp_path / "objects.json").read_text())["objects"]
    assert (phase["result"], phase["sentence"].partition(",")[0]) == ("refused", "a phase image")
    assert (whole["result"], whole["upsampling"]) == ("upsampled", "2")
    assert whole["sentence"].startswith("this MRI fills k-space")
    assert (whole["matrix"], whole["acquired"], whole["kept"]) == ([96, 128, 2], [1.0, 1.0], [1.0, 1.0])


def test_only_the_path_goes_from_a_sentence(objects, tmp_path):
    named = f"{tmp_path} holds no NIfTI, NRRD or DICOM scan that can be restored; {tmp_path.name}: a mosaic"
    assert objects.without_path(named, tmp_path) == "a mosaic"
    assert objects.without_path(f"{tmp_path}/4950: too small", tmp_path) == "too small"
    assert objects.without_path(f"{tmp_path} cannot be restored: a map", tmp_path) == "a map"
    assert objects.without_path(f"the pixels of {tmp_path}: too short", tmp_path) == (
        f"the pixels of {tmp_path.name}: too short"
    )
