import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.consistency import KspaceConsistencyd
from bundle.tat.transforms.upsample import FinerPlane, UpsampleMrid, parse_upsampling
from tests.helper import outer_corners
from tests.scans import blobs, oblique_affine


def mri(shape=(20, 17, 3), low=0.0):
    return MetaTensor(blobs(shape, low, 900)[None], affine=oblique_affine(), meta={"padding": "[[0, 0]]"})


def upsampled(image, upsampling, axis=-1):
    return UpsampleMrid("image", upsampling, slice_axis=axis)({"image": image, "modality": "MRI"})


@given(factor=st.floats(1.1, 4.9), axis=st.integers(-3, 2))
def test_the_field_of_view_stays(factor, axis):
    image = mri((20, 17, 11))
    fine = upsampled(image, factor, axis)["image"]
    sizes = [n if index == axis % 3 else round(n * factor) for index, n in enumerate(image.shape[1:])]
    assert list(fine.shape[1:]) == sizes
    before, after = (outer_corners(each.affine.numpy(), each.shape[1:]) for each in (image, fine))
    np.testing.assert_allclose(after, before, atol=1e-4)


@pytest.mark.parametrize(("upsampling", "side"), [(2, 0.35), (1.5, 0.467), ("0.2mm", 0.2)])
def test_pixels_have_the_side_that_was_asked_for(upsampling, side):
    fine = upsampled(mri(), upsampling)["image"]
    assert float(fine.pixdim[0]) == pytest.approx(side, rel=0.02)
    assert float(fine.pixdim[2]) == pytest.approx(3.1, rel=1e-4)


def test_structures_stay_where_they_are():
    """The centre of mass of a blob, in millimetres."""
    image = mri((40, 32, 2))
    y, x = np.mgrid[:40, :32]
    image[0] = torch.from_numpy(np.exp(-((y - 17.3) ** 2 + (x - 12.6) ** 2) / 18)[..., None].repeat(2, -1))
    fine = upsampled(image, 3)["image"]

    def centre(volume):
        weights = volume[0].numpy().astype(np.float64)
        places = np.indices(weights.shape).reshape(3, -1)
        return volume.affine.numpy() @ np.append((places * weights.ravel()).sum(axis=1) / weights.sum(), 1.0)

    np.testing.assert_allclose(centre(fine), centre(image), atol=1e-3)
    assert float(fine.mean()) == pytest.approx(float(image.mean()), rel=1e-4)


def test_a_magnitude_stays_one_and_signs_stay_signs():
    assert float(upsampled(mri(), 2)["image"].min()) >= 0
    assert float(upsampled(mri(low=-900), 2)["image"].min()) < -100


@given(factor=st.sampled_from([1.5, 2, 3, 4]), seed=st.integers(0, 99), axis=st.integers(-3, 2))
def test_bringing_the_result_back_gives_the_scan(factor, seed, axis):
    """Whatever the network made of it, with full consistency."""
    image = mri((16, 13, 9))
    data = upsampled(image, factor, axis)
    made = data["image"] + 50 * torch.rand(data["image"].shape, generator=torch.Generator().manual_seed(seed))
    made.copy_meta_from(data["image"])
    step = KspaceConsistencyd("pred", slice_axis=axis, factor=None)
    result = step({**data, "pred": made})["pred"]
    plane = FinerPlane.of_meta(result.meta)
    back = np.moveaxis(result[0].numpy(), axis, 0)
    rows, columns = plane.grids
    coarse = np.moveaxis(rows.coarsen @ back @ columns.coarsen.T, 0, axis)
    np.testing.assert_allclose(coarse, image[0].numpy(), atol=0.02)
    assert float((result - data["image"]).abs().max()) > 1


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_less_weight_goes_less_of_the_way(weight):
    data = upsampled(mri(), 2)
    made = data["image"] * 0.9
    made.copy_meta_from(data["image"])
    errors = {}
    for each in (weight, 1.0):
        result = KspaceConsistencyd("pred", weight=each, factor=None)({**data, "pred": made})["pred"]
        errors[each] = (result - made).numpy()
    np.testing.assert_allclose(errors[weight], weight * errors[1.0], atol=0.01)


def test_other_modalities_and_no_wish_change_nothing():
    image = mri()
    assert upsampled(image, None)["image"] is image
    data = UpsampleMrid("image", 2)({"image": image, "modality": "CT"})
    assert data["image"] is image


@pytest.mark.parametrize(("text", "meant"), [(None, None), ("None", None), (2, 2.0), ("1.5", 1.5), ("0.5 mm", "0.5mm")])
def test_wishes_are_read(text, meant):
    assert parse_upsampling("mri_upsample", text) == meant


@pytest.mark.parametrize("text", ["much", 1, 0.5, 6, "0mm", "-1mm", float("nan")])
def test_what_is_no_finer_grid_is_refused(text):
    with pytest.raises(RefusedInputError, match=r"mri_upsample is .*: pass a factor above 1"):
        parse_upsampling("mri_upsample", text)


@pytest.mark.parametrize("side", ["0.05mm", "2mm"])
def test_a_side_that_leads_to_no_finer_grid_is_refused(side):
    with pytest.raises(RefusedInputError, match=r"mri_upsample .* turns 20 pixels"):
        upsampled(mri(), side)


def test_slices_across_a_dicom_series_are_not_refined():
    image = mri()
    image.meta["source_files"] = '["a.dcm", "b.dcm", "c.dcm"]'
    with pytest.raises(RefusedInputError, match="leave slice_axis out"):
        upsampled(image, 2, axis=0)
