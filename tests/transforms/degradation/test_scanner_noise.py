import numpy as np
import pytest
import torch

from bundle.tat.transforms.degradation.scanner_noise import RandScannerNoised


def draw(modality, clean, seed, **options):
    step = RandScannerNoised(prob=1.0, **options)
    step.set_random_state(seed)
    patch = torch.full((1, 64, 64), clean)
    return step({"image": torch.zeros_like(patch), "label": patch, "modality": modality})["image"]


def test_ct_has_noise_of_the_deviations_that_were_asked_for():
    deviations = [4096 * float(draw("CT", 0.3, seed).std()) for seed in range(40)]
    assert min(deviations) >= 1.9
    assert max(deviations) <= 61
    # Evenly in the logarithm: as many below the geometric mean as above it.
    assert 0.25 < np.mean(np.array(deviations) < np.sqrt(2 * 60)) < 0.75


def test_textures_differ_from_draw_to_draw():
    """The correlation of neighbours, from white noise to soft kernels."""
    correlations = []
    for seed in range(30):
        noise = (draw("CT", 0.3, seed) - 0.3)[0].numpy()
        correlations.append(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1])
    assert min(correlations) < 0.15
    assert max(correlations) > 0.6


def test_pet_noise_grows_with_its_level_and_stays_positive():
    weak, strong = (draw("PET", 0.2, 3, pet_level=(level, level)) for level in (0.05, 0.3))
    assert float(strong.std() / weak.std()) == pytest.approx(6, rel=0.15)
    assert float(draw("PET", 0.2, 3, pet_level=(2, 2)).min()) >= 0


@pytest.mark.parametrize(("modality", "prob"), [("MRI", 1.0), ("CT", 0.0)])
def test_pairs_stay_where_nothing_is_to_be_drawn(modality, prob):
    data = {"image": torch.rand(1, 8, 8), "label": torch.rand(1, 8, 8), "modality": modality}
    assert RandScannerNoised(prob=prob)(data)["image"] is data["image"]


def test_a_patch_that_nothing_degraded_is_always_made_anew():
    patch = torch.full((1, 8, 8), 0.3)
    item = {"image": patch.clone(), "label": patch, "modality": "CT"}
    assert not torch.equal(RandScannerNoised(prob=0.0)(item)["image"], patch)


def test_the_draws_follow_the_state():
    one, again, other = (draw("CT", 0.3, seed) for seed in (5, 5, 6))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def noise_of_neighbours(modality, seed, **options):
    """Noise of three equal slices with a margin to the bounds of the scale."""
    step = RandScannerNoised(prob=1.0, **options)
    step.set_random_state(seed)
    stack = torch.full((3, 64, 64), 0.3)
    return (step({"image": torch.zeros_like(stack), "label": stack, "modality": modality})["image"] - stack).numpy()


def test_neighbours_in_ct_are_of_one_scanner_with_noise_of_their_own():
    for seed in range(5):
        noise = noise_of_neighbours("CT", seed)
        deviations = noise.std(axis=(1, 2))
        assert deviations.max() / deviations.min() < 1.3
        assert np.abs(np.corrcoef(noise.reshape(3, -1))[np.triu_indices(3, 1)]).max() < 0.25


def test_neighbours_in_pet_are_correlated_by_the_width_that_is_drawn():
    narrow, wide = (noise_of_neighbours("PET", 3, pet_fwhm=(width, width)) for width in (0.8, 2.5))
    correlations = [np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] for noise in (narrow, wide)]
    expected = [np.exp(-((2.3548 / width) ** 2) / 4) for width in (0.8, 2.5)]
    assert correlations == pytest.approx(expected, abs=0.12)
