import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.simulation import mri
from bundle.tat.simulation.mri import reduce_resolution
from bundle.tat.transforms.degradation.augment import (
    RandKSpaceTruncationd,
    RandNoiseLeveld,
    apply_contrast_curve,
    draw_coverage,
)
from tests.scans import blobs

AMOUNTS = {"CT": (0.2, 1.6), "PET": (0.5, 1.0)}


def pair(modality: str, shape: tuple[int, int] = (40, 52)) -> dict[str, object]:
    label = torch.from_numpy(blobs(shape, 0.0, 0.4))[None]
    return {"label": label, "image": label + 0.05 * torch.randn(1, *shape), "modality": modality}


@given(seed=st.integers(0, 2**31), modality=st.sampled_from(["CT", "PET"]))
def test_noise_is_scaled_within_the_interval_of_the_modality(seed, modality):
    item = pair(modality)
    vary = RandNoiseLeveld(amounts=AMOUNTS, prob=1.0, clean_prob=0.0).set_random_state(seed)
    varied = vary(item)
    before, after = item["image"] - item["label"], varied["image"] - item["label"]
    amount = float((after * before).sum() / before.square().sum())
    torch.testing.assert_close(after, amount * before, rtol=1e-3, atol=1e-5)
    assert AMOUNTS[modality][0] - 1e-3 <= amount <= AMOUNTS[modality][1] + 1e-3


def test_other_modalities_keep_their_image_unless_it_becomes_the_clean_one():
    item = pair("MRI")
    assert RandNoiseLeveld(amounts=AMOUNTS, prob=1.0, clean_prob=0.0)(item)["image"] is item["image"]
    cleaned = RandNoiseLeveld(amounts=AMOUNTS, prob=0.0, clean_prob=1.0)(item)
    torch.testing.assert_close(cleaned["image"], item["label"])


def test_an_mri_pair_is_the_truncation_of_its_own_label():
    item = pair("MRI")
    varied = RandKSpaceTruncationd(size=(96, 96)).set_random_state(3)(item)
    assert varied["label"].shape == varied["image"].shape
    assert min(varied["label"].shape[1:]) >= 96
    np.testing.assert_array_equal(varied["image"][0], mri.reduce_resolution(varied["label"][0].numpy()))
    assert float(varied["label"].min()) >= 0
    assert float(varied["label"].max()) <= 1


def test_an_mri_slice_is_truncated_by_one_of_the_factors():
    drawn = RandKSpaceTruncationd(factors=(2, 4)).set_random_state(0)
    found = set()
    for _ in range(10):
        varied = drawn(pair("MRI"))
        label = varied["label"][0].numpy()
        found |= {
            factor
            for factor in (2, 4)
            if np.array_equal(varied["image"][0], mri.reduce_resolution(label, factor=factor))
        }
    assert found == {2, 4}


def test_draws_repeat_with_their_seed_and_differ_between_seeds():
    first, second, again = (RandKSpaceTruncationd().set_random_state(seed)(pair("MRI"))["label"] for seed in (1, 2, 1))
    torch.testing.assert_close(first, again)
    assert first.shape != second.shape or not torch.equal(first, second)


@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_only_mri_is_made_anew(modality):
    item = pair(modality)
    assert RandKSpaceTruncationd()(item)["image"] is item["image"]


def test_a_black_slice_stays_black():
    black = {"label": torch.zeros(1, 16, 16), "image": torch.zeros(1, 16, 16), "modality": "MRI"}
    assert not RandKSpaceTruncationd()(black)["label"].any()


def test_a_curve_passes_through_its_heights():
    heights = np.array([0.0, 0.8, 0.3, 0.5, 1.0])
    np.testing.assert_allclose(
        apply_contrast_curve(np.linspace(0, 1, 5, dtype=np.float32), heights), heights, atol=1e-6
    )


def test_amounts_are_even_in_their_logarithm():
    vary = RandNoiseLeveld(amounts={"CT": (0.01, 1.0)}, prob=1.0, clean_prob=0.0).set_random_state(0)
    item = {"label": torch.zeros(1), "image": torch.ones(1), "modality": "CT"}
    amounts = np.array([float(vary(item)["image"]) for _ in range(400)])
    assert np.mean(amounts < 0.1) == pytest.approx(0.5, abs=0.08)  # three standard deviations
    assert np.mean(amounts < 0.01 * np.sqrt(10)) == pytest.approx(0.25, abs=0.07)


@pytest.mark.parametrize("interval", [(0.0, 1.0), (1.6, 0.05)])
def test_an_interval_without_a_logarithm_or_upside_down_is_refused(interval):
    with pytest.raises(ValueError, match="pass ascending values above 0"):
        RandNoiseLeveld(amounts={"CT": interval})


def test_scanners_keep_many_parts_of_kspace():
    random = np.random.RandomState(0)
    drawn = [draw_coverage(random, (0.2, 0.8)) for _ in range(400)]
    shares = np.array([coverage.kept for coverage in drawn])
    assert shares.min() >= 0.2
    assert set(shares[shares > 0.8]) == {1.0}
    assert 0.08 < np.mean(shares.max(axis=1) == 1.0) < 0.22
    assert 0.4 < np.mean([coverage.edge_filter == "none" for coverage in drawn]) < 0.6
    assert 0.15 < np.mean([coverage.partial_fourier < 1 for coverage in drawn]) < 0.35


def test_parts_of_kspace_are_drawn_for_mri_and_sometimes_the_factors():
    clean = torch.rand(1, 48, 40)
    step = RandKSpaceTruncationd(zoom=(1, 1), gamma=(1, 1), gain=(1, 1), remap_prob=0, kept=(0.5, 0.5), factor_prob=0.0)
    step.set_random_state(1)
    drawn = step({"label": clean, "modality": "MRI"})
    power = np.abs(np.fft.fft2(drawn["image"][0].numpy() - float(drawn["image"].mean()))) ** 2
    corner = np.outer(*(np.abs(np.fft.fftfreq(size)) > 0.35 for size in (48, 40)))
    assert power[corner].sum() < 0.02 * power.sum()
    truncated = RandKSpaceTruncationd(
        zoom=(1, 1), gamma=(1, 1), gain=(1, 1), remap_prob=0, kept=(0.5, 0.5), factor_prob=1.0
    )({"label": clean, "modality": "MRI"})
    np.testing.assert_allclose(truncated["image"][0].numpy(), reduce_resolution(clean[0].numpy()), rtol=1e-5)


@pytest.mark.parametrize("kept", [None, (0.2, 0.8)])
@pytest.mark.parametrize("seed", range(4))
def test_neighbouring_slices_lose_the_same_part_of_kspace_and_get_the_same_contrast(kept, seed):
    """Slices that are equal stay equal but for their noise; others are cut as they would be alone."""
    one = torch.from_numpy(blobs((40, 52), 0.0, 0.4))
    item = {"label": torch.stack([one, one, one.flip(0)]), "modality": "MRI"}
    varied = RandKSpaceTruncationd(kept=kept, factor_prob=0.0, size=(48, 48)).set_random_state(seed)(item)
    image, label = varied["image"], varied["label"]
    assert image.shape == label.shape
    assert torch.equal(label[0], label[1])
    lost, noise = (image[0] - label[0]).std(), (image[0] - image[1]).std()
    assert noise < 0.5 * lost
    if kept is None:
        for index in range(3):
            np.testing.assert_array_equal(image[index], mri.reduce_resolution(label[index].numpy()))


def test_what_degrades_neighbours_is_scaled_alike():
    label = torch.rand(3, 8, 8)
    item = {"label": label, "image": label + 0.05 * torch.randn(3, 8, 8), "modality": "CT"}
    varied = RandNoiseLeveld(amounts=AMOUNTS, prob=1.0, clean_prob=0.0).set_random_state(0)(item)
    amounts = (varied["image"] - label) / (item["image"] - label)
    torch.testing.assert_close(amounts, torch.full_like(amounts, float(amounts.median())), rtol=1e-2, atol=1e-2)
