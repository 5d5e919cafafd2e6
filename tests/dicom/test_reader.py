import tracemalloc
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import RTStructureSetStorage

from bundle.tat.dicom.reader import DicomSeriesReader, read_series, source_files
from bundle.tat.dicom.study import find_series
from tests.scans import blobs, edit_dicom, write_dicom_series

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


@settings(max_examples=10)
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


@pytest.mark.parametrize("slant", [(0.0, 0.0, 2.5), (0.0, 0.8, 2.5), (0.0, -0.4, -2.0)], ids=["none", "gantry", "down"])
@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), OBLIQUE], ids=["axial", "oblique"])
def test_every_pixel_is_where_the_equation_of_its_own_slice_puts_it(tmp_path, orientation, slant):
    """PS3.3 C.7.6.2.1.1; SimpleITK, which knows no slant, is no judge here."""
    row, column = np.reshape(orientation, (2, 3))
    step = tuple(np.column_stack([row, column, np.cross(row, column)]) @ slant)
    write_dicom_series(tmp_path, stored_pixels(), orientation=orientation, step=step)
    _, meta = read(tmp_path)
    for index, file in enumerate(source_files(meta)):
        image = pydicom.dcmread(file)
        for i, j in ((0, 0), (6, 0), (6, 5)):
            lps = np.array(image.ImagePositionPatient) + row * i * 0.6 + column * j * 0.8
            ras = (meta["affine"] @ (i, j, index, 1))[:3]
            np.testing.assert_allclose(ras, lps * (-1, -1, 1), atol=1e-4)


def test_the_files_are_told_in_the_order_of_the_slices(tmp_path):
    paths = write_dicom_series(tmp_path / "series", stored_pixels())
    assert source_files(read(tmp_path / "series")[1]) == paths
    assert source_files(read(paths[2])[1]) == [paths[2]]
    assert source_files({"affine": np.eye(4)}) == []


def test_a_list_of_files_is_the_series_of_its_folder(tmp_path):
    paths = write_dicom_series(tmp_path, stored_pixels())
    reader = DicomSeriesReader()
    volume, _ = reader.get_data(reader.read([str(path) for path in reversed(paths)]))
    np.testing.assert_array_equal(volume, read(tmp_path)[0])


def test_reading_needs_little_more_memory_than_the_volume(tmp_path):
    n_slices, size = 24, 256
    write_dicom_series(tmp_path, np.zeros((n_slices, size, size), dtype=np.int16))
    series = find_series([tmp_path])
    read_series(series)  # loads what is loaded once
    tracemalloc.start()
    try:
        volume = read_series(series).values
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * volume.nbytes


def test_slices_of_either_signedness_are_read_each_by_its_own(tmp_path):
    paths = write_dicom_series(tmp_path, np.full((3, 6, 7), -1, dtype=np.int16))
    edit_dicom(paths[1], PixelRepresentation=0)
    assert [read(tmp_path)[0][0, 0, index] for index in range(3)] == [-1, 65535, -1]


def beside(path):
    """A copy of the slice that is moved within its plane."""
    x, y, z = pydicom.dcmread(path).ImagePositionPatient
    other = path.with_name("beside.dcm")
    other.write_bytes(path.read_bytes())
    edit_dicom(other, ImagePositionPatient=[x + 50, y, z], SOPInstanceUID="1.2.3.99")


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"SeriesInstanceUID": "9.9"}, r"holds 2 series \(series \(4 files\), series_2 \(1 files\)\): pass one"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}, "holds 2 series"),
        ({"PixelSpacing": [1.6, 1.2]}, "holds 2 series"),
        (
            {"ImagePositionPatient": [-10.0, -20.0, 36.0]},
            r"slices 2 and 3 of 5 are 3\.500 mm apart, the others 2\.500 mm: pass one",
        ),
        (
            {"ImagePositionPatient": [-10.0, -20.0, 32.5]},
            r"slices 2 and 3 of 5 \(0010\.dcm and 0017\.dcm\) lie at one place",
        ),
        ({"ImagePositionPatient": [40.0, -20.0, 35.0]}, r"slice 3 of 5 lies 50\.000 mm beside the line"),
        ({"ImagePositionPatient": None}, r"0017\.dcm cannot be restored: no ImagePositionPatient"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "cannot be restored: MONOCHROME1 pixels"),
        ({"NumberOfFrames": 3}, "cannot be restored: multi-frame"),
        ({"RescaleSlope": 0}, "cannot be restored: RescaleSlope 0"),
        ({"RescaleIntercept": None}, r"holds images in several units \(rescale, Units\)"),
        (
            {"SOPInstanceUID": "1.2.3.2", "ImagePositionPatient": [-10.0, -20.0, 32.5]},
            r"0010\.dcm and 0017\.dcm are copies of one image \(one SOP Instance UID\)",
        ),
        ({"PixelData": b"\0\0"}, r"the pixels of .*0017\.dcm cannot be decoded"),
    ],
)
def test_a_slice_that_does_not_fit_is_refused(tmp_path, tags, message):
    edit_dicom(write_dicom_series(tmp_path / "series", stored_pixels())[2], **tags)
    with pytest.raises(ValueError, match=message) as refusal:
        read(tmp_path / "series")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ([2], r"slices 2 and 3 of 6 are 5\.000 mm apart, the others 2\.500 mm: 1 slice is missing between them"),
        ([3, 4], r"slices 3 and 4 of 5 are 7\.500 mm apart, the others 2\.500 mm: 2 slices are missing between them"),
    ],
)
def test_missing_slices_are_refused_with_the_gap(tmp_path, missing, message):
    paths = write_dicom_series(tmp_path, stored_pixels(7))
    for index in missing:
        paths[index].unlink()
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


def test_slices_beside_each_other_are_refused(tmp_path):
    beside(write_dicom_series(tmp_path, stored_pixels(1))[0])
    with pytest.raises(ValueError, match="holds slices beside each other in one plane"):
        read(tmp_path)


def test_differences_that_add_up_are_refused(tmp_path):
    """Each distance is within tolerance, but the middle slice is far from where an even stack has it."""
    for index, path in enumerate(write_dicom_series(tmp_path, stored_pixels(31))):
        z = index * 2.4 if index <= 15 else 36 + (index - 15) * 2.6
        edit_dicom(path, ImagePositionPatient=[0, 0, z])
    with pytest.raises(ValueError, match=r"slice 16 of 31 lies 1\.500 mm from its place in an even stack"):
        read(tmp_path)


def place(folder: Path, heights, *, thicknesses=None) -> Path:
    """A series with slices at these heights [mm]."""
    for index, path in enumerate(write_dicom_series(folder, stored_pixels(len(heights)))):
        thickness = thicknesses[index] if thicknesses else 2.5
        edit_dicom(path, ImagePositionPatient=[0, 0, heights[index]], SliceThickness=thickness)
    return folder


@pytest.mark.parametrize("step", [0.5, 0.625, 0.75, 1.25, 3.27])
def test_positions_that_are_rounded_to_tenths_are_even(tmp_path, step):
    heights = [round(step * index, 1) for index in range(20)]
    assert read(place(tmp_path, heights))[1]["affine"][2, 2] == pytest.approx(heights[-1] / 19)


def test_rounding_hides_no_missing_slice(tmp_path):
    heights = [round(0.625 * index, 1) for index in range(20) if index != 9]
    with pytest.raises(ValueError, match="1 slice is missing between them"):
        read(place(tmp_path, heights))


SKULL_BASE, ABOVE = [0.0, 2.5, 5.0, 7.5, 10.0], [15.0, 22.5, 30.0, 37.5]
HEAD = {"heights": SKULL_BASE + ABOVE, "thicknesses": [2.5] * 5 + [7.5] * 4}


def test_a_head_with_two_thicknesses_is_read_where_it_may_be_uneven(tmp_path):
    series = find_series([place(tmp_path, **HEAD)])
    with pytest.raises(ValueError, match=r"mm apart, .*: pass one series of evenly spaced slices, or restore"):
        read_series(series)
    volume = read_series(series, allow_uneven=True)
    assert [header.position[2] for header in series.slices(allow_uneven=True)] == HEAD["heights"]
    assert volume.affine[2, 2] == pytest.approx(37.5 / 8)  # the mean distance
    assert volume.assumptions == (
        "the slices are not evenly spaced: each was restored by itself and has the position of its source",
    )


@pytest.mark.parametrize("missing", [2, 6])
def test_a_missing_slice_is_found_among_uneven_ones(tmp_path, missing):
    heights, thicknesses = ([one for index, one in enumerate(values) if index != missing] for values in HEAD.values())
    series = find_series([place(tmp_path, heights, thicknesses=thicknesses)])
    with pytest.raises(ValueError, match="1 slice is missing between them"):
        read_series(series, allow_uneven=True)


def test_an_even_series_assumes_nothing(tmp_path):
    write_dicom_series(tmp_path, stored_pixels())
    assert read_series(find_series([tmp_path]), allow_uneven=True).assumptions == ()


def test_small_differences_are_not(tmp_path):
    for index, path in enumerate(write_dicom_series(tmp_path, stored_pixels(9))):
        edit_dicom(path, ImagePositionPatient=[0, 0, round(index * 2.5 + 0.05 * (index % 2), 2)])
    assert read(tmp_path)[0].shape == (7, 6, 9)


def test_pet_is_brought_to_suv_slice_by_slice(tmp_path, monkeypatch):
    monkeypatch.setattr("bundle.tat.dicom.pixels.suv_factor", lambda image: 0.5 * image.InstanceNumber)
    monkeypatch.setattr("bundle.tat.dicom.reader.suv_assumptions", lambda _: ())
    stored = stored_pixels(3)
    write_dicom_series(tmp_path, stored, modality="PT", slopes=(1.0, 2.0, 4.0), units="BQML")
    factors = np.array([0.5, 2.0, 6.0], dtype=np.float32)
    np.testing.assert_array_equal(read(tmp_path)[0], (stored.astype(np.float32) * factors[:, None, None]).T)


@pytest.mark.parametrize("units", ["BQML", "PROPCPS", ""])
def test_pet_that_cannot_be_brought_to_suv_is_refused_by_name(tmp_path, units):
    path = write_dicom_series(tmp_path, stored_pixels(1), modality="PT", units=units)[0]
    with pytest.raises(ValueError, match=rf"{path}: .*\(0\d{{3}},"):
        read(tmp_path)


def test_a_damaged_file_beside_the_slices_may_be_one_of_them(tmp_path):
    write_dicom_series(tmp_path, stored_pixels())
    (tmp_path / "last.dcm").touch()
    with pytest.raises(ValueError, match=r"last\.dcm is empty \(0 bytes\): fetch it again"):
        read(tmp_path)


def test_images_that_are_left_out_are_told(tmp_path, caplog):
    write_dicom_series(tmp_path, stored_pixels())
    write_dicom_series(tmp_path / "scout", stored_pixels(1), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert read(tmp_path)[0].shape == (7, 6, 5)
    assert caplog.messages == ["skipped scout/0003.dcm (images: 1): a localizer (scout), which is no slice of a volume"]


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no images here")
    with pytest.raises(ValueError, match=r"holds no DICOM series that can be restored; notes\.txt: not DICOM"):
        read(tmp_path)


def test_what_is_no_image_is_refused_when_it_is_pointed_to(tmp_path):
    path = write_dicom_series(tmp_path, stored_pixels(1))[0]
    edit_dicom(path, SOPClassUID=RTStructureSetStorage, Rows=None)
    with pytest.raises(ValueError, match=r"cannot be restored: no pixels \(RT Structure Set Storage\)"):
        read(path)


def test_a_file_that_is_not_dicom_is_refused_in_a_list(tmp_path):
    path = write_dicom_series(tmp_path, stored_pixels(1))[0]
    (tmp_path / "a.nii").touch()
    with pytest.raises(ValueError, match=r"a\.nii is not DICOM"):
        DicomSeriesReader().read([path, tmp_path / "a.nii"])
