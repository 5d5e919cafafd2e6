import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from bundle.tat.modality import INTENSITY_RANGES, MRI_FOREGROUND_INTENSITY, Modality
from bundle.tat.transforms.intensity import ScaleByModalityd, from_unit_range, mri_scale_factor, to_unit_range
from tests.helper import assert_round_trip
from tests.scans import blobs, oblique_affine

modalities = st.sampled_from(list(Modality))
values = st.lists(st.floats(-5000, 9000, width=32), min_size=1, max_size=60)


@given(modality=modalities, values=values)
def test_there_and_back_is_clipping(modality, values):
    bounds = INTENSITY_RANGES[modality]
    image = torch.tensor(values)
    back = from_unit_range(to_unit_range(image, bounds), bounds)
    torch.testing.assert_close(back, image.clamp(bounds.low, bounds.high), rtol=1e-6, atol=bounds.width * 2e-7)


@given(modality=modalities, values=values, scale=st.floats(0.01, 100))
def test_unit_range_is_a_unit_range(modality, values, scale):
    scaled = to_unit_range(torch.tensor(values), INTENSITY_RANGES[modality], scale=scale)
    assert bool(((scaled >= 0) & (scaled <= 1)).all())


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


def test_clipped_voxels_are_counted_and_reported(caplog):
    image = MetaTensor(torch.tensor([[[-2000.0, 0.0, 3072.0, 3073.0]]]))
    with caplog.at_level(logging.WARNING):
        scaled = ScaleByModalityd("image")({"image": image, "modality": "CT"})["image"]
    assert scaled.meta["n_clipped"] == 2
    assert "2 of 4 voxels (50 %) lie outside [-1024, 3072] HU and were clipped" in caplog.text


@pytest.mark.parametrize(("modality", "value"), [("PET", 5000.0), ("MRI", -3.0), ("CT", 30000.0)])
def test_an_image_in_another_unit_is_refused_by_name(modality, value):
    image = MetaTensor(torch.full((1, 3, 3), value), meta={"filename_or_obj": "/scans/a.nii"})
    with pytest.raises(ValueError, match=r"/scans/a\.nii: 9 of 9 voxels .* this is another modality or unit"):
        ScaleByModalityd("image")({"image": image, "modality": modality})


def test_nothing_is_reported_when_nothing_is_clipped(caplog):
    ScaleByModalityd("image")({"image": MetaTensor(torch.zeros(1, 3, 3)), "modality": "CT"})
    assert caplog.text == ""


def test_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="mri_scale is 'minmax': pass percentile or fixed"):
        ScaleByModalityd("image", mri_scale="minmax")
