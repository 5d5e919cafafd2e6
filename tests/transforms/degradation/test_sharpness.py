import numpy as np
import pytest
import torch

from bundle.tat.transforms.degradation.sharpness import RandSharpnessd, brighten_bone, sharpen

SOFT, BONE = 0.26, 0.5


def edge(low=SOFT, high=BONE):
    """A blurred edge between two tissues, on the network's scale."""
    rows = torch.linspace(-96, 96, 128)
    return (low + (high - low) * torch.sigmoid(rows)).expand(1, 96, 128).clone()


def change(clean, seed, modality="CT", **options):
    step = RandSharpnessd(**{"prob": 1.0, **options})
    step.set_random_state(seed)
    return step({"image": clean.clone(), "label": clean, "modality": modality})


def steepest(image):
    return float(image.diff(dim=-1).abs().max())


@pytest.mark.parametrize("seed", range(10))
def test_image_and_label_are_the_same_sharper_slice(seed):
    made = change(edge(), seed)
    assert torch.equal(made["image"], made["label"])
    assert made["image"].data_ptr() != made["label"].data_ptr()
    assert steepest(made["label"]) > steepest(edge())
    assert 0 <= float(made["label"].min()) <= float(made["label"].max()) <= 1


def test_each_factor_makes_edges_steeper_and_the_neutral_ones_change_nothing():
    neutral = {"zoom": (1, 1), "bone": (1, 1), "overshoot": (0, 0)}
    torch.testing.assert_close(change(edge(), 0, **neutral)["label"], edge())
    for factor in ({"zoom": (0.5, 0.5)}, {"bone": (2, 2)}, {"overshoot": (1, 1)}):
        assert steepest(change(edge(), 0, **{**neutral, **factor})["label"]) > 1.1 * steepest(edge())


def test_bone_alone_gets_brighter():
    hounsfield = np.array([-1000.0, 40.0, 200.0, 700.0])
    brighter = brighten_bone(torch.tensor((hounsfield + 1024) / 4096), 2.0).numpy() * 4096 - 1024
    np.testing.assert_allclose(brighter, [-1000, 40, 200, 1200], atol=1e-6)


def test_flat_tissue_keeps_its_value_when_edges_overshoot():
    flat = torch.full((2, 16, 16), 0.3)
    torch.testing.assert_close(sharpen(flat, 1.0), flat)
    assert float(sharpen(edge(), 1.0).max()) > float(edge().max())


@pytest.mark.parametrize(("modality", "options"), [("MRI", {}), ("PET", {}), ("CT", {"prob": 0.0})])
def test_other_slices_stay_as_they_are(modality, options):
    assert torch.equal(change(edge(), 0, modality, **options)["label"], edge())


def test_pairs_stay_as_they_are():
    pair = {"image": edge() + 0.01, "label": edge(), "modality": "CT"}
    made = RandSharpnessd(prob=1.0)(pair)
    assert made["image"] is pair["image"]
    assert made["label"] is pair["label"]


def test_small_slices_are_padded_to_the_patch():
    made = change(edge(), 0, zoom=(0.5, 0.5), size=(64, 64))
    assert made["label"].shape == made["image"].shape == (1, 64, 64)


def test_the_draws_follow_the_state():
    one, again, other = (change(edge(), seed)["label"] for seed in (5, 5, 6))
    assert torch.equal(one, again)
    assert one.shape != other.shape or not torch.equal(one, other)
