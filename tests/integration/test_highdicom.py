"""Volumes of DICOM series against an independent reader, highdicom (MIT): where each voxel lies, and its value."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from monai.data import MetaTensor

from bundle.tat.dicom.suv.factor import suv_factor
from bundle.tat.transforms.load import LoadScand
from tests.dicom_sources import stored_values, write_source
from tests.enhanced_sources import write_enhanced
from tests.integration.test_dicom_validators import restore
from tests.test_layout import ROOT

pytestmark = pytest.mark.integration

SERIES = {"CT": ("CT", "BQML"), "MR": ("MR", "BQML"), "PET in Bq per ml": ("PT", "BQML"), "PET in SUV": ("PT", "GML")}
# Rows and columns of a slice that is turned about all axes, and what lies between two slices [mm].
ROTATION = np.linalg.qr(np.array([[0.9, 0.2, 0.3], [-0.1, 0.8, 0.4], [0.2, -0.5, 0.7]]))[0]
SPACING = 2.5


def turn(image: pydicom.Dataset, index: int) -> None:
    """Turn the slice of an index, and shift it along its normal."""
    across, down = ROTATION[:, 0], ROTATION[:, 1]
    corner = np.array([-31.5, 12.25, 107.0]) + index * SPACING * np.cross(across, down)
    image.ImageOrientationPatient = [f"{value:.10f}" for value in (*across, *down)]
    image.ImagePositionPatient = [f"{value:.8f}" for value in corner]


def read(series: Path) -> MetaTensor:
    return LoadScand("image")({"image": str(series)})["image"]


def assert_same_volume(image: MetaTensor, series: Path, tolerance: float) -> None:
    """Each voxel of ours lies at one of highdicom's, and has its value but for a share of the largest."""
    highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed: pip install highdicom")
    headers = [pydicom.dcmread(path) for path in sorted(series.glob("*.dcm"))]
    if "PerFrameFunctionalGroupsSequence" in headers[0]:
        theirs = highdicom.Image.from_dataset(headers[0]).get_volume()
    else:
        theirs = highdicom.get_volume_from_series(headers)
    assert image.numel() == theirs.array.size
    indices = np.stack(np.meshgrid(*map(np.arange, image.shape[-3:]), indexing="ij"), axis=-1).reshape(-1, 3)
    points = np.c_[indices, np.ones(len(indices))] @ image.affine.numpy().T
    points[:, :2] *= -1  # MONAI's axes go to the right and to the front, DICOM's to the left and to the back
    found = (points @ np.linalg.inv(theirs.affine).T)[:, :3]
    # A scanner rounds the positions, and each program makes a straight line of them in its way.
    np.testing.assert_allclose(found, np.round(found), atol=0.01)
    values = theirs.array[tuple(np.round(found).astype(int).T)]
    if headers[0].Modality == "PT":
        values = values * suv_factor(headers[0])
    np.testing.assert_allclose(image.numpy().reshape(-1), values, rtol=0, atol=tolerance * np.abs(values).max())


@pytest.mark.parametrize(("modality", "units"), SERIES.values(), ids=SERIES.keys())
def test_turned_series_and_what_is_made_of_them(tmp_path, modality, units):
    write_source(tmp_path / "series", stored_values(modality, 4), modality, units=units, change=turn)
    image = read(tmp_path / "series")
    assert_same_volume(image, tmp_path / "series", 1e-6)
    restore(tmp_path / "series", tmp_path / "out")
    assert_same_volume(image, tmp_path / "out" / "series", 2e-5)  # half a step of 16 bits with a sign


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_enhanced_objects_and_what_is_made_of_them(tmp_path, modality):
    write_enhanced(tmp_path / "series", stored_values(modality, 4), modality, order=[1, 3, 0, 2])
    image = read(tmp_path / "series")
    assert_same_volume(image, tmp_path / "series", 1e-6)
    restore(tmp_path / "series", tmp_path / "out")
    assert_same_volume(image, tmp_path / "out" / "series", 1e-6)


def test_scanned_magnetic_resonance_images():
    series = ROOT / "tests" / "samples" / "dicom_mr"
    assert_same_volume(read(series), series, 1e-6)
