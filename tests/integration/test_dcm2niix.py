"""NIfTI files as dcm2niix makes them of DICOM: they lie where nibabel puts them, tilted gantry or not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from bundle.tat.data.layouts.check_pairs import check_pairs
from bundle.tat.transforms.load import LoadScand
from bundle.tat.volume_files.geometry import corner_distance
from scripts.benchmarks.geometry import nibabel_affine, simpleitk_affine, write_result
from tests.dicom_sources import stored_values, write_source

# The program of this environment, whose version is pinned, before that of the machine.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
DCM2NIIX = shutil.which("dcm2niix", path=PATH)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(DCM2NIIX is None, reason="no dcm2niix: pip install dcm2niix"),
]

TILT = 12.0
N_SLICES = 3  # as the headers of PET say


def tilt(image, index):
    """Turn the planes by the tilt, while the table goes straight on."""
    sine, cosine = np.sin(np.deg2rad(TILT)), np.cos(np.deg2rad(TILT))
    image.ImageOrientationPatient = ["1", "0", "0", "0", f"{cosine:.9f}", f"{-sine:.9f}"]
    image.ImagePositionPatient = ["-100", "-120", f"{5.0 * index}"]
    image.GantryDetectorTilt = f"{-TILT}"
    image.InstanceNumber = index + 1


def convert(series: Path, out: Path) -> list[Path]:
    out.mkdir()
    command = [DCM2NIIX, "-z", "n", "-b", "n", "-f", "scan", "-o", str(out), str(series)]
    subprocess.run(command, capture_output=True, check=True)  # noqa: S603
    return sorted(out.glob("*.nii"))


def load(path: Path):
    return LoadScand("image")({"image": str(path)})["image"]


def corners(affine, shape) -> np.ndarray:
    """The centres of the outermost voxels, in an order that does not depend on the axes' directions."""
    ends = np.array([[i, j, k, 1] for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)])
    points = (np.asarray(affine) @ ends.T)[:3].T
    return points[np.lexsort(points.round(2).T)]


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_a_converted_series_lies_where_the_series_lies(tmp_path, modality):
    write_source(tmp_path / "series", stored_values(modality, N_SLICES), modality)
    (path,) = convert(tmp_path / "series", tmp_path / "scan")
    series, nifti = load(tmp_path / "series"), load(path)
    np.testing.assert_allclose(
        corners(nifti.affine, nifti.shape[1:]), corners(series.affine, series.shape[1:]), atol=1e-3
    )
    if modality != "PT":  # SUV of a series, Bq/ml of a NIfTI file
        np.testing.assert_allclose(np.sort(nifti.numpy().ravel()), np.sort(series.numpy().ravel()), atol=1e-3)


def test_a_tilted_gantry_and_its_correction_lie_where_nibabel_puts_them(tmp_path, caplog):
    write_source(tmp_path / "series", stored_values("CT", 6, 48, 40), "CT", change=tilt)
    files = convert(tmp_path / "series", tmp_path / "scan")
    assert [path.name for path in files] == ["scan.nii", "scan_Tilt_1.nii"]
    for path in files:
        image, source = load(path), nibabel.load(path)
        result = write_result(path, tmp_path / path.stem)
        written = nibabel.load(result)
        assert corner_distance(image.affine.numpy(), nibabel_affine(path), source.shape) < 1e-3
        assert corner_distance(written.affine, nibabel_affine(path), source.shape) < 1e-3
        np.testing.assert_allclose(written.get_qform(), source.get_qform(), atol=1e-4)
        for code in ("sform_code", "qform_code"):
            assert written.header[code] == source.header[code] > 0
        assert corner_distance(simpleitk_affine(result), simpleitk_affine(path), source.shape) < 1e-3
        assert check_pairs([{"image": str(path), "label": str(result), "modality": "CT"}])
    told = [record.getMessage() for record in caplog.records if "two geometries" in record.getMessage()]
    # Of the tilted scan and of its result, each time that they are read; its qform leaves out the tilt.
    assert told
    assert all("scan_Tilt_1" not in line for line in told)


def test_a_correction_of_tilt_opens_in_simpleitk(tmp_path):
    write_source(tmp_path / "series", stored_values("CT", 6, 48, 40), "CT", change=tilt)
    corrected = convert(tmp_path / "series", tmp_path / "scan")[1]
    result = SimpleITK.ReadImage(str(write_result(corrected, tmp_path / "out")))
    assert result.GetSize() == SimpleITK.ReadImage(str(corrected)).GetSize()
