import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.data.dicom_series import DicomSeriesReader
from tests.scans import blobs, write_dicom_series

OBLIQUE = tuple(np.linalg.qr(np.array([[1.0, 0.2, 0.1], [-0.2, 1.0, 0.3], [0.0, -0.3, 1.0]]))[0][:, :2].T.ravel() * -1)


def read(path):
    reader = DicomSeriesReader()
    return reader.get_data(reader.read(str(path)))


def stored_pixels(n_slices: int = 5) -> np.ndarray:
    return blobs((n_slices, 6, 7), -500, 500).astype(np.int16)


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), OBLIQUE], ids=["axial", "sagittal", "oblique"]
)
def test_values_and_geometry_equal_simpleitks(tmp_path, orientation):
    row, column = np.reshape(orientation, (2, 3))
    step = tuple(np.cross(row, column) * 2.5)
    write_dicom_series(tmp_path, stored_pixels(), orientation=orientation, step=step, intercept=-1024.0)
    volume, meta = read(tmp_path)

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    expected = reader.Execute()
    np.testing.assert_array_equal(volume, SimpleITK.GetArrayFromImage(expected).T)
    for index in ((0, 0, 0), (6, 0, 0), (0, 5, 0), (6, 5, 4)):
        ras = (meta["affine"] @ (*index, 1))[:3]
        lps = expected.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(ras, np.array([-lps[0], -lps[1], lps[2]]), atol=1e-3)


@given(order=st.permutations(range(5)))
def test_order_of_the_files_does_not_matter(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("series")
    paths = write_dicom_series(folder / "one", stored_pixels())
    expected = read(folder / "one")[0]
    (folder / "two").mkdir()
    for number, path in zip(order, paths, strict=True):
        path.rename(folder / "two" / f"{number}.dcm")
    np.testing.assert_array_equal(read(folder / "two")[0], expected)


def test_every_slice_has_its_own_slope(tmp_path):
    stored = stored_pixels(3)
    slopes = (1.0, 0.37, 2.21)
    write_dicom_series(tmp_path, stored, modality="PT", slopes=slopes)
    volume, meta = read(tmp_path)
    expected = stored.astype(np.float32) * np.array(slopes, dtype=np.float32)[:, None, None]
    np.testing.assert_array_equal(volume, expected.T)
    assert meta["modality"] == "PT"


def test_empty_series_uid_is_an_identity_like_any_other(tmp_path):
    write_dicom_series(tmp_path, stored_pixels(), series_uid="")
    assert read(tmp_path)[0].shape == (7, 6, 5)


def test_slanted_stack_keeps_its_slant(tmp_path):
    write_dicom_series(tmp_path, stored_pixels(), step=(0.0, 0.8, 2.5))
    np.testing.assert_allclose(read(tmp_path)[1]["affine"][:3, 2], (0.0, -0.8, 2.5), atol=1e-6)


def edit(path, **tags):
    image = pydicom.dcmread(path)
    for name, value in tags.items():
        setattr(image, name, value)
    image.save_as(path)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"SeriesInstanceUID": "9.9"}, "holds 2 series"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}, "not parallel"),
        ({"ImagePositionPatient": [-10.0, -20.0, 36.0]}, "a slice is missing, duplicate"),
        ({"ImagePositionPatient": None}, "without ImagePositionPatient"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "only MONOCHROME2"),
        ({"NumberOfFrames": 3}, "multi-frame"),
        ({"PixelData": b"\0\0"}, "cannot be decoded"),
        ({"ImagePositionPatient": [40.0, -20.0, 35.0]}, r"slice 3 of 5 lies 50\.000 mm beside the line"),
        ({"PixelSpacing": [1.6, 1.2]}, "holds 2 pixel spacings"),
        ({"RescaleSlope": 0}, "Rescale Slope 0"),
        ({"ModalityLUTSequence": [pydicom.Dataset()]}, "look-up table"),
    ],
)
def test_a_slice_that_does_not_fit_is_refused(tmp_path, tags, message):
    edit(write_dicom_series(tmp_path, stored_pixels())[2], **tags)
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


def test_missing_slice_is_refused_with_the_gap(tmp_path):
    write_dicom_series(tmp_path, stored_pixels(6))[2].unlink()
    with pytest.raises(ValueError, match=r"slices 2 and 3 of 5 are 5\.000 mm apart, the others 2\.500 mm"):
        read(tmp_path)


def test_a_slice_that_lost_its_rescale_is_refused(tmp_path):
    path = write_dicom_series(tmp_path, stored_pixels(), intercept=-1024.0)[2]
    image = pydicom.dcmread(path)
    del image.RescaleIntercept
    image.save_as(path)
    with pytest.raises(ValueError, match="holds 2 units"):
        read(tmp_path)


@pytest.mark.parametrize("units", ["BQML", "CNTS", ""])
def test_pet_in_another_unit_than_suv_is_refused(tmp_path, units):
    write_dicom_series(tmp_path, stored_pixels(), modality="PT", units=units)
    with pytest.raises(ValueError, match=f"PET in {units or 'an unknown unit'}: TAT restores SUV"):
        read(tmp_path)


def test_files_that_are_left_out_are_counted(tmp_path, caplog):
    write_dicom_series(tmp_path, stored_pixels())
    (tmp_path / "LICENSE").write_text("not an image")
    assert read(tmp_path)[0].shape == (7, 6, 5)
    assert "1 of 6 files in the DICOM folder are no images and were left out" in caplog.text


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no images here")
    with pytest.raises(ValueError, match="holds no DICOM images"):
        read(tmp_path)
