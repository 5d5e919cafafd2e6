"""The paper's protocol, against the authors' numbers, other people's implementations, and its own properties."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio

from bundle.tat.metrics import evaluate_pair, evaluate_volume, psnr, rmse, ssim
from bundle.tat.metrics.restoration import PSNR_CEILING_DB
from bundle.tat.modality import EVALUATION_WINDOWS, Modality
from bundle.tat.refusal import RefusedInputError

GOLDEN = Path(__file__).parents[1] / "golden"
PROPERTY = settings(max_examples=50, deadline=None)

modalities = st.sampled_from(list(Modality))
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(3, 24)


def slice_pair(modality: Modality, seed: int, shape: tuple[int, int] = (17, 23)) -> tuple[torch.Tensor, torch.Tensor]:
    """A label that fills the evaluation window and a noisy version of it, which reaches beyond."""
    generator, window = torch.Generator().manual_seed(seed), EVALUATION_WINDOWS[modality]
    label = window.low + window.width * torch.rand(shape, generator=generator)
    return label + 0.2 * window.width * torch.randn(shape, generator=generator), label


def batch_pair(n_images: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    label = torch.rand(n_images, 1, 19, 14, generator=torch.Generator().manual_seed(seed))
    return label + 0.1 * torch.randn(label.shape, generator=torch.Generator().manual_seed(seed + 1)), label


def direct_ssim(pred: np.ndarray, label: np.ndarray, data_range: float) -> float:
    """SSIM from its definition; scipy's Gaussian cut at 5 pixels is the 11x11 window, ``constant`` the zero border."""
    pred, label = pred.astype(np.float64), label.astype(np.float64)

    def mean(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, 1.5, mode="constant", cval=0.0, radius=5)

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    covariance = mean(pred * label) - mean(pred) * mean(label)
    variances = mean(pred**2) - mean(pred) ** 2 + mean(label**2) - mean(label) ** 2
    numerator = (2 * mean(pred) * mean(label) + c1) * (2 * covariance + c2)
    return float(np.mean(numerator / ((mean(pred) ** 2 + mean(label) ** 2 + c1) * (variances + c2))))


@pytest.mark.golden
@pytest.mark.parametrize("row", json.loads((GOLDEN / "reference.json").read_text())["metrics"], ids=str)
def test_agrees_with_the_authors(row):
    with np.load(GOLDEN / "reference.npz") as arrays:
        pred, label = (
            torch.from_numpy(arrays[f"metric_{row['modality']}_{row['index']}_{role}"]) for role in ("pred", "label")
        )
    scores = evaluate_pair(pred, label, row["modality"])
    assert scores["psnr"] == pytest.approx(row["psnr"], abs=1e-3)
    assert scores["ssim"] == pytest.approx(row["ssim"], abs=1e-5)
    assert scores["rmse"] == pytest.approx(row["rmse"], rel=1e-4)


@pytest.mark.parametrize("modality", Modality)
def test_psnr_is_that_of_scikit_image(modality):
    pred, label = slice_pair(modality, 3)
    data_range = float(label.max() - label.min())
    theirs = peak_signal_noise_ratio(label.double().numpy(), pred.double().numpy(), data_range=data_range)
    assert psnr(pred[None, None], label[None, None], data_range).item() == pytest.approx(theirs, rel=1e-13)


@given(seed=seeds, height=sides, width=sides, modality=modalities)
@PROPERTY
def test_ssim_is_its_definition_even_below_the_window_size(seed, height, width, modality):
    pred, label = slice_pair(modality, seed, (height, width))
    data_range = EVALUATION_WINDOWS[modality].width
    ours = ssim(pred[None, None], label[None, None], data_range).item()
    assert ours == pytest.approx(direct_ssim(pred.numpy(), label.numpy(), data_range), abs=1e-9)


def test_ssim_survives_a_large_offset():
    generator = torch.Generator().manual_seed(0)
    label = 4000.0 + torch.rand(1, 1, 32, 32, generator=generator)
    pred = label + 0.3 * torch.rand(label.shape, generator=generator)
    # In float32 the variances, of order 0.1, are lost in squares of order 1e7.
    expected = direct_ssim(pred[0, 0].numpy(), label[0, 0].numpy(), 1.0)
    assert ssim(pred, label, 1.0).item() == pytest.approx(expected, abs=1e-6)


def test_rmse_by_hand():
    label = torch.zeros(1, 1, 2, 2)
    pred = torch.tensor([[[[3.0, 0.0], [0.0, 4.0]]]])
    assert rmse(pred, label).tolist() == [2.5]


@given(seed=seeds, modality=modalities)
@PROPERTY
def test_identity_scores_best(seed, modality):
    pred, label = slice_pair(modality, seed)
    best, other = evaluate_pair(label, label, modality), evaluate_pair(pred, label, modality)
    assert best == {"psnr": PSNR_CEILING_DB, "ssim": pytest.approx(1.0, abs=1e-12), "rmse": 0.0}
    assert other["psnr"] < best["psnr"]
    assert other["ssim"] < best["ssim"]
    assert other["rmse"] > best["rmse"]


@given(seed=seeds)
@PROPERTY
def test_ssim_is_symmetric(seed):
    pred, label = batch_pair(2, seed)
    torch.testing.assert_close(ssim(pred, label, 1.0), ssim(label, pred, 1.0), rtol=0.0, atol=1e-12)


@given(seed=seeds, weaker=st.floats(0.001, 1.0), ratio=st.floats(1.01, 10.0))
@PROPERTY
def test_psnr_falls_as_noise_grows(seed, weaker, ratio):
    pred, label = batch_pair(2, seed)
    noise = pred - label
    assert (psnr(label + weaker * noise, label, 1.0) > psnr(label + ratio * weaker * noise, label, 1.0)).all()


@given(seed=seeds, modality=modalities, excess=st.floats(0.0, 1e4))
@PROPERTY
def test_values_beyond_the_window_count_as_its_bound(seed, modality, excess):
    window = EVALUATION_WINDOWS[modality]
    pred, label = (image.clamp(window.low, window.high) for image in slice_pair(modality, seed))
    label[0, 0], label[0, 1] = window.high, window.low
    pushed = [
        torch.where(image == window.high, image + excess, torch.where(image == window.low, image - excess, image))
        for image in (pred, label)
    ]
    assert evaluate_pair(*pushed, modality) == evaluate_pair(pred, label, modality)


@given(seed=seeds, n_images=st.integers(1, 4))
@PROPERTY
def test_an_image_scores_the_same_in_any_batch(seed, n_images):
    pred, label = batch_pair(n_images, seed)
    ranges = torch.arange(1, n_images + 1)
    alone = [
        (psnr(pred[i : i + 1], label[i : i + 1], i + 1.0), ssim(pred[i : i + 1], label[i : i + 1], i + 1.0))
        for i in range(n_images)
    ]
    torch.testing.assert_close(psnr(pred, label, ranges), torch.cat([scores[0] for scores in alone]))
    torch.testing.assert_close(ssim(pred, label, ranges), torch.cat([scores[1] for scores in alone]))


@pytest.mark.parametrize("modality", Modality)
@pytest.mark.parametrize("position", [-0.5, 0.25, 2.0], ids=["below", "within", "above"])
def test_a_constant_label_has_finite_scores(modality, position):
    window = EVALUATION_WINDOWS[modality]
    label = torch.full((12, 12), window.low + position * window.width)
    exact = evaluate_pair(label, label, modality)
    assert exact == {"psnr": PSNR_CEILING_DB, "ssim": pytest.approx(1.0), "rmse": 0.0}
    pred, _ = slice_pair(modality, 5, (12, 12))
    scores = evaluate_pair(pred, label, modality)
    assert all(math.isfinite(score) for score in scores.values())
    # The width of the window stands in for the range that the label does not have.
    assert scores["psnr"] == pytest.approx(20 * math.log10(window.width / scores["rmse"]))


@pytest.mark.parametrize("leading", [(), (1,), (1, 1)])
def test_one_slice_may_come_with_leading_axes(leading):
    pred, label = slice_pair(Modality.CT, 1)
    shape = (*leading, *pred.shape)
    assert evaluate_pair(pred.reshape(shape), label, "ct") == evaluate_pair(pred, label, Modality.CT)


def test_inputs_stay_as_they_are_and_results_are_plain():
    pred, label = (image[None, None] for image in slice_pair(Modality.CT, 2))
    before = pred.clone(), label.clone()
    evaluate_pair(pred, label, Modality.CT)
    evaluate_volume(pred[0], label[0], Modality.CT)
    for score in (psnr, ssim):
        result = score(MetaTensor(pred), MetaTensor(label), 400.0)
        assert type(result) is torch.Tensor
        assert (result.shape, result.dtype) == ((1,), torch.float64)
    assert torch.equal(pred, before[0])
    assert torch.equal(label, before[1])


@pytest.mark.parametrize("slice_axis", [-1, 0])
def test_a_volume_scores_the_mean_of_its_varying_slices(slice_axis):
    pairs = [slice_pair(Modality.PET, seed) for seed in range(3)]
    air = torch.zeros(17, 23)
    pred = torch.stack([pairs[0][0], air + 1.0, pairs[1][0], pairs[2][0]], dim=slice_axis)
    label = torch.stack([pairs[0][1], air, pairs[1][1], pairs[2][1]], dim=slice_axis)
    scores = evaluate_volume(pred, label, Modality.PET, slice_axis=slice_axis)
    singles = [evaluate_pair(*pair, Modality.PET) for pair in pairs]
    assert (scores.n_slices, scores.n_constant) == (3, 1)
    for name in ("psnr", "ssim", "rmse"):
        assert getattr(scores, name) == pytest.approx(np.mean([single[name] for single in singles]))


def test_a_volume_without_a_varying_slice_is_refused():
    air = torch.full((8, 8, 5), -1000.0)
    with pytest.raises(RefusedInputError, match=r"all 5 slices have a constant label within \[-160, 240\] HU"):
        evaluate_volume(air, air, Modality.CT)


def test_a_bad_value_is_refused_even_in_a_slice_that_is_left_out():
    label = torch.stack([torch.zeros(8, 8), torch.rand(8, 8)], dim=-1)
    pred = label.clone()
    pred[0, 0, 0] = math.nan
    with pytest.raises(RefusedInputError, match="1 of 128 values of the prediction are NaN or infinite"):
        evaluate_volume(pred, label, Modality.PET)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("role", ["prediction", "label"])
def test_values_that_are_not_finite_are_refused(bad, role):
    images = {"prediction": torch.rand(9, 9), "label": torch.rand(9, 9)}
    images[role][4, 4] = bad
    with pytest.raises(RefusedInputError, match=f"1 of 81 values of the {role} are NaN or infinite"):
        evaluate_pair(images["prediction"], images["label"], Modality.MRI)


@pytest.mark.parametrize("score", [lambda p, t: psnr(p, t, 1.0), lambda p, t: ssim(p, t, 1.0), rmse])
def test_shapes_are_checked(score):
    with pytest.raises(RefusedInputError, match=r"\(1, 1, 8, 8\) and label \(1, 1, 8, 9\) differ in shape"):
        score(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 9))
    with pytest.raises(RefusedInputError, match=r"shape \(8, 8\) is not \(B, C, H, W\)"):
        score(torch.zeros(8, 8), torch.zeros(8, 8))
    with pytest.raises(RefusedInputError, match="each of length 1 or more"):
        score(torch.zeros(1, 1, 0, 8), torch.zeros(1, 1, 0, 8))


@pytest.mark.parametrize("data_range", [0.0, -1.0, math.nan, math.inf, torch.tensor([1.0, 0.0])])
def test_a_data_range_must_be_positive(data_range):
    with pytest.raises(RefusedInputError, match="is not positive and finite"):
        psnr(*batch_pair(2), data_range)


def test_data_ranges_must_fit_the_batch():
    with pytest.raises(RefusedInputError, match="3 data ranges for 2 images"):
        ssim(*batch_pair(2), torch.ones(3))


def test_more_than_one_slice_is_refused():
    with pytest.raises(RefusedInputError, match=r"shape \(2, 1, 19, 14\) is not one slice"):
        evaluate_pair(*batch_pair(2), Modality.CT)


def test_an_unknown_modality_is_refused():
    with pytest.raises(RefusedInputError, match="'US' is not one that TAT restores"):
        evaluate_pair(torch.rand(8, 8), torch.rand(8, 8), "US")
