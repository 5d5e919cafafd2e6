"""The plain Gaussian: what it does to a slice, and how its width is chosen."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bundle.tat.evaluation.cases import Case
from bundle.tat.evaluation.gaussian import SIGMAS, best_sigma, compare_methods, gaussian_baseline
from bundle.tat.metrics import evaluate_volume
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError


def smooth_volume(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((31, 26, 3))
    smooth = gaussian_filter(noise, (4.0, 4.0, 0.0))
    return (10.0 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


def noisy(volume: np.ndarray, level: float, seed: int = 1) -> np.ndarray:
    return volume + level * np.random.default_rng(seed).standard_normal(volume.shape).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.2, 4.0])
def test_an_impulse_spreads_within_its_slice_only(sigma):
    volume = np.zeros((51, 57, 3), dtype=np.float32)
    volume[25, 28, 1] = 1.0
    filtered = gaussian_baseline(volume, sigma)
    assert filtered.dtype == np.float32
    assert not filtered[:, :, [0, 2]].any()
    for axis, centre in ((1, 25), (0, 28)):
        profile = filtered[:, :, 1].sum(axis=axis)
        offset = np.arange(profile.size) - centre
        assert profile.sum() == pytest.approx(1.0, abs=1e-5)
        assert (profile * offset**2).sum() == pytest.approx(sigma**2, rel=0.02)


@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_across_slices_an_impulse_spreads_alike_along_each_axis(sigma):
    volume = np.zeros((31, 31, 31), dtype=np.float32)
    volume[15, 15, 15] = 1.0
    filtered = gaussian_baseline(volume, sigma, across_slices=True)
    for axes in permutations(range(3)):
        np.testing.assert_allclose(filtered, filtered.transpose(axes), atol=1e-7)
    assert (filtered.sum(axis=(0, 1)) * (np.arange(31) - 15) ** 2).sum() == pytest.approx(sigma**2, rel=0.02)


def test_a_constant_stays_and_the_input_too():
    volume = np.full((9, 12, 2), 7.0, dtype=np.float32)
    np.testing.assert_allclose(gaussian_baseline(volume, 3.0), 7.0, rtol=1e-6)
    image = smooth_volume()
    before = image.copy()
    gaussian_baseline(image, 1.0)
    unfiltered = gaussian_baseline(image, 0.0)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(unfiltered, image)
    assert not np.shares_memory(unfiltered, image)


def test_the_best_sigma_is_the_one_that_scores_best():
    label = smooth_volume()
    image = noisy(label, 1.5)

    def score(sigma: float) -> float:
        pred = torch.from_numpy(gaussian_baseline(image, sigma))
        return evaluate_volume(pred, torch.from_numpy(label), Modality.PET).psnr

    chosen = best_sigma([(image, label)], Modality.PET)
    assert chosen == max(SIGMAS, key=score)
    assert 0.0 < chosen < max(SIGMAS)


def test_where_no_filter_helps_none_is_applied():
    label = np.random.default_rng(0).random((20, 20, 2)).astype(np.float32)
    assert best_sigma([(label.copy(), label)], Modality.PET) == 0.0


def test_every_slice_counts_the_same_and_constant_ones_not_at_all():
    label = smooth_volume()
    image = noisy(label, 1.5)
    air = np.zeros((*label.shape[:2], 40), dtype=np.float32)
    with_air = np.concatenate([image, noisy(air, 5.0)], axis=2), np.concatenate([label, air], axis=2)
    assert best_sigma([with_air], Modality.PET) == best_sigma([(image, label)], Modality.PET)
    assert best_sigma([(image, label), (air, air)], Modality.PET) == best_sigma([(image, label)], Modality.PET)


def test_methods_are_compared_with_one_sigma_a_modality():
    pet, mri = smooth_volume(0), 100.0 * smooth_volume(1)
    cases = [
        Case(name=name, modality=modality, image=image, label=label, restored=label, affine=np.eye(4))
        for name, modality, image, label in (
            ("a", Modality.PET, noisy(pet, 1.5), pet),
            ("b", Modality.MRI, mri, mri),
            ("c", Modality.PET, noisy(pet, 1.4, seed=2), pet),
        )
    ]
    rows = compare_methods(cases)
    assert [(row.case, row.method) for row in rows] == [
        (case, method) for case in "acb" for method in ("input", "gaussian", "restored")
    ]
    by_key = {(row.case, row.method): row for row in rows}
    assert by_key["a", "gaussian"].sigma == by_key["c", "gaussian"].sigma > 0.0
    assert by_key["b", "gaussian"].sigma == 0.0
    assert by_key["a", "input"].sigma is None
    assert by_key["a", "input"].scores.psnr < by_key["a", "gaussian"].scores.psnr < by_key["a", "restored"].scores.psnr


@pytest.mark.parametrize("sigma", [-1.0, math.nan, math.inf])
def test_an_impossible_sigma_is_refused(sigma):
    with pytest.raises(RefusedInputError, match="is not 0 or more"):
        gaussian_baseline(smooth_volume(), sigma)


def test_other_refusals():
    with pytest.raises(RefusedInputError, match=r"shape \(4, 4\) is not \(H, W, D\)"):
        gaussian_baseline(np.zeros((4, 4), dtype=np.float32), 1.0)
    with pytest.raises(RefusedInputError, match="0 pairs"):
        best_sigma([], Modality.CT)
    air = np.zeros((8, 8, 2), dtype=np.float32)
    with pytest.raises(RefusedInputError, match="no slice of 1 volumes has a label that varies"):
        best_sigma([(air, air)], Modality.PET)
