import itk
import numpy as np
import pytest

from bundle.tat.data.scan_info import read_scan_info
from bundle.tat.modality import Modality
from tests.scans import oblique_affine, write_dicom_series, write_nifti

STORED = np.zeros((3, 6, 5), dtype=np.int16)
CODES = {"axes of NIfTI": [1, 1, 1, 1], "axes of DICOM": [-1, -1, 1, 1]}


@pytest.mark.parametrize(("kind", "orientation"), [("axes of NIfTI", "RAS"), ("axes of DICOM", "LPS")])
def test_axes_point_where_the_affine_says(tmp_path, kind, orientation):
    path = write_nifti(tmp_path / "x.nii", STORED, np.diag(CODES[kind]).astype(float))
    assert read_scan_info(path).orientation == orientation


def test_voxel_sizes_are_lengths_of_the_axes(tmp_path):
    info = read_scan_info(write_nifti(tmp_path / "x.nii", STORED, oblique_affine((0.5, 1.5, 2.5))))
    assert info.voxel_size == pytest.approx((0.5, 1.5, 2.5))


def test_a_slice_of_two_axes_has_a_voxel_size(tmp_path):
    info = read_scan_info(write_nifti(tmp_path / "x.nii", STORED[0]))
    assert (info.shape, info.n_slices) == ((6, 5), 1)
    assert len(info.voxel_size) == 3


def test_nrrd_tells_its_type_and_how_many_values_a_voxel_has(tmp_path):
    itk.imwrite(itk.image_from_array(STORED), str(tmp_path / "x.nrrd"))
    colours = itk.image_from_array(np.zeros((3, 6, 5, 3), dtype=np.uint8), is_vector=True)
    itk.imwrite(colours, str(tmp_path / "colours.nrrd"))
    info = read_scan_info(tmp_path / "x.nrrd")
    assert (info.format, info.shape, info.n_values, info.dtype) == ("NRRD", (5, 6, 3), 1, "16-bit signed integer")
    assert read_scan_info(tmp_path / "colours.nrrd").n_values == 3


@pytest.mark.parametrize(
    ("modality", "units", "unit"),
    [("CT", "", "HU"), ("MR", "", "a.u."), ("PT", "BQML", "Bq/ml"), ("PT", "GML", "SUV"), ("PT", "PROPCPS", "PROPCPS")],
)
def test_dicom_tells_the_unit_of_its_values(tmp_path, modality, units, unit):
    files = write_dicom_series(tmp_path / "x", STORED, modality=modality, units=units)
    for source in (tmp_path / "x", files):
        info = read_scan_info(source)
        assert (info.format, info.dtype, info.unit, info.shape) == ("DICOM", "int16", unit, (5, 6, 3))
        assert info.modality is Modality({"MR": "MRI", "PT": "PET"}.get(modality, modality))
