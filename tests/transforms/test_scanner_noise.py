import numpy as np
import pytest
import torch

from bundle.tat.transforms.scanner_noise import RandScannerNoised


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


def test_the_draws_follow_the_state():
    one, again, other = (draw("CT", 0.3, seed) for seed in (5, 5, 6))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
