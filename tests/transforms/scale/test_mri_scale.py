"""MRI has one scale, whichever its file has; what is on another one is scaled or refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

from bundle.tat.evaluation.scoring import score_slices
from bundle.tat.modality import MRI_FOREGROUND_INTENSITY, MRI_FOREGROUND_PERCENTILE, Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation import mri
from bundle.tat.transforms import MeasureMriScaled, ScaleByModalityd, SimulateDegradationd
from bundle.tat.transforms.scale.mri_scale import (
    HIGHEST,
    LOWEST,
    MRI_FACTOR_KEY,
    find_mri_factor,
    foreground_level,
    mri_scale_factor,
)
from bundle.tat.transforms.volume import CHUNK_SIZE
from tests.scans import blobs

KEYS = ("image", "label")


def brain(level: float = MRI_FOREGROUND_INTENSITY, n_slices: int = 3, seed: int = 0) -> torch.Tensor:
    """A volume ``(1, W, H, D)`` whose foreground is at ``level``."""
    volume = torch.from_numpy(blobs((40, 32, n_slices), 0, 1, seed=seed)).clamp(min=0)[None]
    return volume * (level / foreground_level(volume))


def pair(factor: float = 1.0, **more) -> dict:
    clean = brain(**more)
    low = torch.stack([torch.from_numpy(mri.reduce_resolution(one.numpy())) for one in clean[0].unbind(-1)], dim=-1)
    images = {"image": low[None] * factor, "label": clean * factor}
    return {"modality": "MRI"} | {
        key: MetaTensor(image, meta={"filename_or_obj": f"{key}.nii.gz"}) for key, image in images.items()
    }


@settings(deadline=None, max_examples=20)
@given(exponent=st.floats(-4, 5))
def test_percentile_takes_any_scale_to_one(exponent):
    scale = ScaleByModalityd(KEYS, mri_scale="percentile")
    native, other = scale(pair()), scale(pair(10**exponent))
    for key in KEYS:
        torch.testing.assert_close(other[key].as_tensor(), native[key].as_tensor(), rtol=1e-4, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(exponent=st.floats(-4, 5))
def test_scores_do_not_know_the_unit_of_the_file(exponent):
    """Windows end at 4095 on the scale of training, not in the unit of whichever file."""
    scale = ScaleByModalityd(KEYS, mri_scale="percentile", to_file_unit=False)
    native, other = (scale.inverse(scale(pair(factor, level=3000))) for factor in (1.0, 10**exponent))
    for index, expected in score_slices(native["image"][0], native["label"][0], Modality.MRI).items():
        found = score_slices(other["image"][0], other["label"][0], Modality.MRI)[index]
        assert found["psnr"] == pytest.approx(expected["psnr"], abs=1e-3)
        assert found["rmse"] == pytest.approx(expected["rmse"], rel=1e-3)


def test_a_pair_has_the_factor_of_its_degraded_scan():
    """It is what the same scan gets in use, where there is no other."""
    item = pair(0.01)
    alone = ScaleByModalityd("image")({"image": item["image"], "modality": "MRI"})
    both = ScaleByModalityd(KEYS)(item)
    assert torch.equal(alone["image"].as_tensor(), both["image"].as_tensor())
    ratio = both["label"].as_tensor() / ScaleByModalityd("label")(item)["label"].as_tensor()
    assert 0.9 < float(ratio.nanmedian()) < 1.1
    assert float(ratio.nanmedian()) != 1.0


@pytest.mark.parametrize("level", [0.5, 1.0, 255.0, 299.0, 4100.0, 24000.0])
def test_fixed_refuses_what_is_far_from_training(level):
    with pytest.raises(RefusedInputError, match=r"(image|label)\.nii\.gz: .*300 to 4095: pass --mri_scale percentile"):
        ScaleByModalityd(KEYS, mri_scale="fixed")(pair(level / MRI_FOREGROUND_INTENSITY))


@pytest.mark.parametrize("level", [LOWEST * 1.05, MRI_FOREGROUND_INTENSITY, HIGHEST * 0.95])
def test_fixed_leaves_alone_what_is_near(level):
    item = pair(level=level)
    scaled = ScaleByModalityd(KEYS, mri_scale="fixed")(item)
    for key in KEYS:
        expected = item[key].as_tensor().clamp(0, HIGHEST) / HIGHEST
        torch.testing.assert_close(scaled[key].as_tensor(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("mri_scale", ["percentile", "fixed"])
@pytest.mark.parametrize("factor", [1 / 1400, 20.0])
@pytest.mark.parametrize("key", KEYS)
def test_two_scales_in_a_pair_are_refused(mri_scale, factor, key):
    item = pair()
    item[key] = item[key] * factor
    named = "label" if mri_scale == "percentile" else key
    with pytest.raises(RefusedInputError, match=rf"{named}\.nii\.gz: .*foreground"):
        ScaleByModalityd(KEYS, mri_scale=mri_scale)(item)


def test_a_dark_slice_alone_is_no_other_scale_but_one_in_unit_range_is():
    dark = brain(level=20.0, n_slices=1)
    assert find_mri_factor([dark], "fixed") == 1.0
    assert find_mri_factor([dark[..., 0]], "fixed") == 1.0
    with pytest.raises(RefusedInputError, match="3 to 4095"):
        find_mri_factor([brain(level=1.0, n_slices=1)], "fixed")


@pytest.mark.parametrize("mri_scale", ["percentile", "fixed"])
def test_nothing_at_all_is_on_every_scale(mri_scale):
    assert find_mri_factor([torch.zeros(1, 4, 4, 4)] * 2, mri_scale) == 1.0


def test_a_factor_that_was_measured_on_the_volume_holds_for_its_slices():
    item = pair(1 / 1400)
    measure, scale = MeasureMriScaled(KEYS), ScaleByModalityd(KEYS)
    whole, measured = scale(item), measure(item)
    assert measured[MRI_FACTOR_KEY] == mri_scale_factor(item["image"])
    for index in range(3):
        one = scale(measured | {key: item[key][..., index : index + 1] for key in KEYS})
        assert MRI_FACTOR_KEY not in one
        for key in KEYS:
            torch.testing.assert_close(one[key].as_tensor(), whole[key][..., index : index + 1].as_tensor())


def test_measuring_leaves_other_modalities_alone():
    item = pair() | {"modality": "PET"}
    assert MeasureMriScaled(KEYS)(item).keys() == item.keys()


def test_a_clean_scan_has_the_factor_of_what_will_be_made_of_it():
    """As the overlay of IXI has it: the whole volume is degraded once, to be measured."""
    item = pair()
    measure = MeasureMriScaled(KEYS, degrade=SimulateDegradationd("label"), allow_missing_keys=True)
    measured = measure({"label": item["label"], "modality": "MRI"})
    assert "image" not in measured
    assert measured[MRI_FACTOR_KEY] == pytest.approx(mri_scale_factor(item["image"]), rel=1e-5)
    assert measure(item)[MRI_FACTOR_KEY] == mri_scale_factor(item["image"])


@pytest.mark.parametrize("size", [1, 7, CHUNK_SIZE + 5])
@pytest.mark.parametrize("n_values", [1, 50, 10**6])
def test_the_level_is_the_value_of_its_rank_in_the_sorted_foreground(size, n_values):
    """However the volume is taken apart."""
    volume = torch.randint(0, n_values, (size,), generator=torch.Generator().manual_seed(size)).float()
    foreground = volume[volume > volume.mean()] if volume.min() < volume.max() else volume
    place = round(MRI_FOREGROUND_PERCENTILE / 100 * (foreground.numel() - 1))
    assert foreground_level(volume) == float(foreground.sort().values[place])
