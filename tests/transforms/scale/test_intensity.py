import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from bundle.tat.modality import INTENSITY_RANGES, MRI_FOREGROUND_INTENSITY, Modality
from bundle.tat.transforms import volume
from bundle.tat.transforms.scale.intensity import ScaleByModalityd, from_unit_range, to_unit_range
from bundle.tat.transforms.scale.mri_scale import mri_scale_factor
from tests.helper import assert_round_trip
from tests.scans import blobs, oblique_affine

modalities = st.sampled_from(list(Modality))
seeds = st.integers(0, 2**31)
values = st.lists(st.floats(-5000, 9000, width=32), min_size=1, max_size=60)


@given(modality=modalities, values=values)
def test_there_and_back_is_clipping_unless_the_excess_is_given_back(modality, values):
    bounds = INTENSITY_RANGES[modality]
    image = torch.tensor(values)
    clipped = image.clamp(bounds.low, bounds.high)
    unit, excess = to_unit_range(image, bounds)
    assert excess.n_voxels == int((image != clipped).sum())
    close = {"rtol": 1e-6, "atol": bounds.width * 2e-7}
    torch.testing.assert_close(from_unit_range(unit, bounds), clipped, **close)
    torch.testing.assert_close(from_unit_range(unit, bounds, excess=excess), image, **close)


@given(modality=modalities, shape=st.tuples(*[st.integers(1, 6)] * 3), axes=st.permutations([1, 2, 3]), seed=seeds)
def test_the_result_is_the_output_of_the_network_plus_the_excess(modality, shape, axes, seed):
    """Whatever the network makes of the clipped image, and however the image lies in memory."""
    random = torch.Generator().manual_seed(seed)
    bounds = INTENSITY_RANGES[modality]
    image = (torch.rand(1, *shape, generator=random) * 3 - 1) * bounds.width
    image = image.permute(0, *axes)
    unit, excess = to_unit_range(image, bounds)
    output = torch.rand(unit.shape, generator=random)
    result = from_unit_range(output, bounds, excess=excess)
    expected = output * bounds.width + bounds.low + image - image.clamp(bounds.low, bounds.high)
    torch.testing.assert_close(result, expected, rtol=1e-6, atol=bounds.width * 1e-6)


@pytest.mark.parametrize(("modality", "n_negative"), [("MRI", 0), ("PET", 0), ("CT", 24)])
def test_a_magnitude_comes_back_without_negative_values(modality, n_negative):
    transform = ScaleByModalityd("image", mri_scale="fixed")
    value = {"CT": -9.0, "MRI": 900.0, "PET": 9.0}[modality]
    scaled = transform({"image": MetaTensor(torch.full((1, 4, 3, 2), value)), "modality": modality})
    restored = scaled["image"] * 0 - 0.01
    restored.copy_meta_from(scaled["image"])
    assert int((transform.inverse({"image": restored})["image"] < 0).sum()) == n_negative


def test_what_was_negative_may_stay_so():
    """Interpolated PET undershoots: such a voxel keeps its value, and the others their sign."""
    image = torch.full((1, 4, 3, 2), 5.0)
    image[0, 1, 1, 1] = -0.5
    transform = ScaleByModalityd("image")
    scaled = transform({"image": MetaTensor(image), "modality": "PET"})["image"]
    assert float(transform.inverse({"image": scaled})["image"].min()) == pytest.approx(-0.5)


@given(modality=modalities, values=values, scale=st.floats(0.01, 100))
def test_unit_range_is_a_unit_range(modality, values, scale):
    scaled, _ = to_unit_range(torch.tensor(values), INTENSITY_RANGES[modality], scale=scale)
    assert bool(((scaled >= 0) & (scaled <= 1)).all())


@given(modality=modalities, values=values, scale=st.floats(0.01, 100), n_columns=st.integers(1, 5))
def test_a_volume_is_scaled_alike_in_planes_and_at_once(modality, values, scale, n_columns):
    bounds = INTENSITY_RANGES[modality]
    image = torch.tensor(values)[:, None].repeat(1, n_columns)
    in_planes, excess = to_unit_range(image, bounds, scale=scale)
    scaled = image * scale
    assert torch.equal(in_planes, scaled.clamp(bounds.low, bounds.high).sub(bounds.low).div(bounds.width))
    assert excess.n_voxels == int(((scaled < bounds.low) | (scaled > bounds.high)).sum())


@given(values=values, chunk=st.integers(1, 70))
def test_the_scale_of_mri_does_not_depend_on_parts(values, chunk):
    image = torch.tensor(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(volume, "CHUNK_SIZE", chunk)
        factor = mri_scale_factor(image)
    assert factor == mri_scale_factor(image)


@given(
    modality=modalities,
    dtype=st.sampled_from([torch.float32, torch.float64]),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4)),
    mri_scale=st.sampled_from(["percentile", "fixed"]),
    exponent=st.floats(-3, 3),
)
def test_transform_comes_back_whatever_the_scale_of_mri(modality, dtype, shape, mri_scale, exponent):
    bounds = INTENSITY_RANGES[modality]
    image = torch.rand(1, *shape, dtype=dtype) * bounds.width + bounds.low
    if modality is Modality.MRI and mri_scale == "percentile":
        image = image * 10**exponent
    transform = ScaleByModalityd("image", mri_scale=mri_scale)
    image = MetaTensor(image, affine=oblique_affine())
    assert_round_trip(
        lambda x: transform({"image": x, "modality": modality.value})["image"],
        lambda x: transform.inverse({"image": x})["image"],
        image,
        tolerance=float(image.abs().max()) * 5e-6,
    )


@pytest.mark.parametrize("unit", [1e-3, 1.0, 700.0])
def test_bright_foreground_of_mri_meets_the_training_scale(unit):
    volume = torch.from_numpy(blobs((40, 50, 12), 0, 1)) * unit
    scaled = volume * mri_scale_factor(volume)
    foreground = scaled[scaled > scaled.mean()]
    assert np.percentile(foreground.numpy(), 99.5) == pytest.approx(MRI_FOREGROUND_INTENSITY, rel=1e-3)


@pytest.mark.parametrize("value", [0.0, 1e-3, 7.0, 5e6])
def test_constant_mri_comes_back_whatever_its_value(value):
    """MRI has no unit, so no constant is out of range."""
    transform = ScaleByModalityd("image")
    assert_round_trip(
        lambda x: transform({"image": x, "modality": "MRI"})["image"],
        lambda x: transform.inverse({"image": x})["image"],
        MetaTensor(torch.full((1, 4, 4, 4), value)),
        tolerance=value * 1e-6,
    )


def test_mri_without_anything_above_zero_keeps_its_scale():
    assert mri_scale_factor(torch.zeros(4, 4, 4)) == 1.0
    assert mri_scale_factor(torch.full((4, 4, 4), -2.0)) == 1.0


def test_a_pair_shares_the_scale_of_its_first_image():
    low = MetaTensor(torch.rand(1, 8, 8, 3) * 50)
    scaled = ScaleByModalityd(["image", "label"])({"image": low, "label": low * 2, "modality": "MRI"})
    torch.testing.assert_close(scaled["label"].as_tensor(), scaled["image"].as_tensor() * 2)


def test_voxels_outside_the_range_are_counted_and_reported(caplog):
    image = MetaTensor(torch.tensor([[[-2000.0, 0.0, 3072.0, 3073.0]]]))
    with caplog.at_level(logging.WARNING):
        scaled = ScaleByModalityd("image")({"image": image, "modality": "CT"})["image"]
    assert scaled.meta["n_outside_range"] == 2
    assert "2 of 4 voxels (50 %) lie outside [-1024, 3072] HU: the network sees them clipped" in caplog.text


@pytest.mark.parametrize(("modality", "value"), [("MRI", -3.0), ("CT", 30000.0)])
def test_an_image_in_another_unit_is_refused_by_name(modality, value):
    image = MetaTensor(torch.full((1, 3, 3), value), meta={"filename_or_obj": "/scans/a.nii"})
    with pytest.raises(ValueError, match=r"/scans/a\.nii: 9 of 9 voxels .* this scan has another modality or unit"):
        ScaleByModalityd("image")({"image": image, "modality": modality})


def test_pet_that_cannot_be_suv_is_refused_by_name():
    image = MetaTensor(torch.full((1, 3, 3), 5000.0), meta={"filename_or_obj": "/scans/a.nii"})
    with pytest.raises(ValueError, match=r"/scans/a\.nii: .* convert it to SUV"):
        ScaleByModalityd("image")({"image": image, "modality": "PET"})


def test_nothing_is_reported_when_nothing_lies_outside(caplog):
    ScaleByModalityd("image")({"image": MetaTensor(torch.zeros(1, 3, 3)), "modality": "CT"})
    assert caplog.text == ""


@pytest.mark.parametrize("contiguous", [True, False])
def test_the_image_that_comes_in_stays_as_it_is(contiguous):
    values = torch.rand(1, 6, 5, 4) * 30
    image = MetaTensor(values if contiguous else values.transpose(1, 3), meta={"filename_or_obj": "x"})
    before, meta = image.clone(), dict(image.meta)
    transform = ScaleByModalityd("image", pet_scale=0.5)
    scaled = transform({"image": image, "modality": "PET"})["image"]
    unit = scaled.clone()
    transform.inverse({"image": scaled})
    assert torch.equal(image, before)
    assert image.meta.keys() == meta.keys()
    assert not image.applied_operations
    assert torch.equal(scaled, unit)


def test_percentile_of_the_foreground_is_its_kth_value():
    image = torch.from_numpy(blobs((30, 20, 10), -5, 900))
    foreground = image[image > image.mean()]
    rank = round(0.995 * (foreground.numel() - 1)) + 1
    assert mri_scale_factor(image) == MRI_FOREGROUND_INTENSITY / float(foreground.kthvalue(rank).values)


def test_pet_in_another_unit_is_brought_to_suv_and_back():
    """12,000 Bq/ml where the body has 4,000 on average is SUV 3."""
    activity = MetaTensor(torch.full((1, 4, 4, 4), 12000.0))
    transform = ScaleByModalityd("image", pet_scale=1 / 4000)
    scaled = transform({"image": activity, "modality": "PET"})["image"]
    torch.testing.assert_close(scaled.as_tensor(), torch.full((1, 4, 4, 4), 3 / 20))
    torch.testing.assert_close(transform.inverse({"image": scaled})["image"].as_tensor(), activity.as_tensor())


def test_pet_scale_is_for_pet_alone():
    image = MetaTensor(torch.rand(1, 4, 4, 4) * 100)
    one, other = (
        ScaleByModalityd("image", pet_scale=factor)({"image": image, "modality": "CT"})["image"]
        for factor in (1.0, 7.0)
    )
    assert torch.equal(one, other)


def test_pet_scale_meets_no_dicom():
    image = MetaTensor(torch.rand(1, 4, 4, 4), meta={"modality": "PT", "filename_or_obj": "/pet/1.dcm"})
    with pytest.raises(
        ValueError, match=r"/pet/1\.dcm: pet_scale is 2\.0: leave it out, the header of DICOM gives the factor"
    ):
        ScaleByModalityd("image", pet_scale=2.0)({"image": image, "modality": "PET"})


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf"), float("nan")])
def test_other_pet_scales_are_refused(factor):
    with pytest.raises(ValueError, match=r"pet_scale is .*: pass the positive factor"):
        ScaleByModalityd("image", pet_scale=factor)


def test_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="mri_scale is 'minmax': pass percentile or fixed"):
        ScaleByModalityd("image", mri_scale="minmax")


@pytest.mark.parametrize("modality", list(Modality))
def test_in_place_the_bits_are_the_same(modality):
    bounds = INTENSITY_RANGES[modality]
    volume = bounds.low + bounds.width * (1.4 * torch.rand(1, 9, 7, 20) - 0.2)
    data = {"image": MetaTensor(volume.clone()), "modality": modality.value}
    ways = [ScaleByModalityd("image"), ScaleByModalityd("image", in_place=True)]
    copied, changed = (way(data)["image"] for way in ways)
    assert torch.equal(copied.as_tensor(), changed.as_tensor())
    assert changed.data_ptr() == data["image"].data_ptr() != copied.data_ptr()
    back = [way.inverse({"image": image})["image"] for way, image in zip(ways, (copied, changed), strict=True)]
    assert torch.equal(back[0].as_tensor(), back[1].as_tensor())
    assert back[1].data_ptr() == changed.data_ptr()


def test_a_result_of_inference_mode_comes_back_outside_of_it():
    """PyTorch lets nothing change it in place there."""
    way = ScaleByModalityd("image", in_place=True)
    scaled = way({"image": MetaTensor(torch.rand(1, 8, 8, 3) * 900), "modality": "MRI"})["image"]
    with torch.inference_mode():
        restored = MetaTensor(scaled.as_tensor() * 0.5).copy_meta_from(scaled)
    way.inverse({"image": restored})
