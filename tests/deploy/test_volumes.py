import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from bundle.tat.deploy.volumes import to_tensor, to_volume
from bundle.tat.dicom.reader import EVENLY_SPACED, SOURCE_FILES
from bundle.tat.inferers.planes import IN_PLANES
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.load import LoadScand
from bundle.tat.transforms.planes import ChoosePlanesd
from tests.helper import assert_same_geometry
from tests.scans import oblique_affine, write_dicom_series


@pytest.fixture
def series(tmp_path) -> MetaTensor:
    """3 slices of 4 rows and 5 columns; rows are 0.8 mm apart, columns 0.6 mm."""
    stored = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    write_dicom_series(
        tmp_path / "series", stored, slopes=(0.5, 0.25, 0.125), orientation=(0, 1, 0, 0, 0, -1), step=(-2, 0, 0)
    )
    return LoadScand("image")({"image": str(tmp_path / "series")})["image"]


def test_there_and_back_again(series):
    back = to_tensor(*to_volume(series))
    assert back.dtype == torch.float32
    assert torch.equal(back.as_tensor(), series.as_tensor())
    assert_same_geometry(back, series, tolerance=0)
    for name in ("modality", SOURCE_FILES):
        assert back.meta[name] == series.meta[name]


def test_what_the_record_and_the_padding_need_comes_along(series):
    """What the reader noted, and what the steps up to the network noted."""
    noted = {"kspace_kept": "[0.25, 0.5]", "n_outside_range": 7, "finer_plane": "[[0, 5, 10], [1, 4, 8]]"}
    series.meta.update(noted)
    back = to_tensor(*to_volume(series))
    for name in (*noted, "padding", "assumptions", "acquired_shares", "source_frames"):
        assert back.meta[name] == series.meta[name]


def test_whatever_the_reader_notes_comes_along(series):
    """But for the shape, which the array has."""
    back = to_tensor(*to_volume(series))
    assert {*series.meta} - {*back.meta} == {"spatial_shape"}


def test_unevenly_spaced_pet_is_still_known_to_be_uneven(series):
    meta = {name: series.meta[name] for name in series.meta if name != "affine"} | {EVENLY_SPACED: False}
    image = MetaTensor(torch.zeros(1, 16, 16, 16), affine=torch.eye(4), meta=meta)
    item = ChoosePlanesd("image")({"image": to_tensor(*to_volume(image)), "modality": "PET"})
    assert not item["image"].meta[IN_PLANES]


def test_arrays_are_slices_rows_columns_in_float(series):
    values, _ = to_volume(series)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.arange(60).reshape(3, 4, 5) * np.array([0.5, 0.25, 0.125])[:, None, None])


def test_spacing_is_named_after_the_axes_that_it_lies_along(series):
    metadata = to_volume(series).metadata
    steps = [metadata[f"{axis}_pixel_spacing"] for axis in ("row", "col", "depth")]
    np.testing.assert_allclose(steps, [0.6, 0.8, 2.0], atol=1e-6)
    for name in (
        "dicom_affine_transform",
        "nifti_affine_transform",
    ):  # from column to column 0.6 mm, from row to row 0.8 mm
        np.testing.assert_allclose(np.linalg.norm(metadata[name][:3, :3], axis=0), [0.6, 0.8, 2.0], atol=1e-6)
    np.testing.assert_allclose(metadata["dicom_affine_transform"][:3, 3], [-10.0, -20.0, 30.0])
    np.testing.assert_allclose(metadata["nifti_affine_transform"][:3, 3], [10.0, 20.0, 30.0])


def test_an_image_that_is_not_dicom_is_refused():
    image = MetaTensor(torch.zeros(1, 2, 2, 2), affine=oblique_affine(), meta={"filename_or_obj": "x.nii.gz"})
    with pytest.raises(RefusedInputError, match=r"x\.nii\.gz is no DICOM series"):
        to_volume(image)


def test_an_image_of_another_reader_is_refused(series):
    values, metadata = to_volume(series)
    with pytest.raises(RefusedInputError, match="read it with StudyReaderOperator or SeriesReaderOperator"):
        to_tensor(values, {"nifti_affine_transform": metadata["nifti_affine_transform"], "Modality": "PT"})
