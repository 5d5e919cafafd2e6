"""The plain filters: what they do to a slice, and how they are found."""

from __future__ import annotations

import math
import sys
from itertools import permutations

import numpy as np
import pytest

from bundle.tat.evaluation.baseline_filters import (
    FILTERS,
    SIGMAS,
    bicubic,
    bilateral,
    bm3d,
    find_filters,
    gaussian,
    non_local_means,
    total_variation,
)
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.mri import KSpaceCoverage, acquire, reduce_resolution

EDGE_PRESERVING = [bilateral, non_local_means, total_variation, bm3d]


def skip_without_its_package(smooth) -> None:
    if smooth is bm3d:
        pytest.importorskip("bm3d", reason="needs the extra bm3d, for non-commercial use only")
    elif smooth is not bilateral:
        pytest.importorskip("skimage", reason="needs the extra report")


def step_volume() -> np.ndarray:
    volume = np.full((33, 30, 2), 2.0, dtype=np.float32)
    volume[16:] = 12.0
    return volume


def noisy(volume: np.ndarray, level: float) -> np.ndarray:
    return volume + level * np.random.default_rng(0).standard_normal(volume.shape).astype(np.float32)


def smooth_slices(shape: tuple[int, int], *, highest: int) -> np.ndarray:
    """Two slices of a few low frequencies, positive."""
    row, column = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in shape), indexing="ij")
    slices = [300 + 80 * np.cos(k * row + 0.4) + 60 * np.sin(highest * column - 0.7) for k in (1, highest)]
    return np.stack(slices, axis=-1).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.2, 4.0])
def test_an_impulse_spreads_within_its_slice_only(sigma):
    volume = np.zeros((51, 57, 3), dtype=np.float32)
    volume[25, 28, 1] = 1.0
    filtered = gaussian(volume, sigma)
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
    filtered = gaussian(volume, sigma, across_slices=True)
    for axes in permutations(range(3)):
        np.testing.assert_allclose(filtered, filtered.transpose(axes), atol=1e-7)
    assert (filtered.sum(axis=(0, 1)) * (np.arange(31) - 15) ** 2).sum() == pytest.approx(sigma**2, rel=0.02)


def test_a_constant_stays_and_the_input_too():
    volume = np.full((9, 12, 2), 7.0, dtype=np.float32)
    np.testing.assert_allclose(gaussian(volume, 3.0), 7.0, rtol=1e-6)
    image = noisy(step_volume(), 0.5)
    before = image.copy()
    gaussian(image, 1.0)
    unfiltered = gaussian(image, 0.0)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(unfiltered, image)
    assert not np.shares_memory(unfiltered, image)


@pytest.mark.parametrize("smooth", EDGE_PRESERVING)
def test_noise_goes_and_the_edge_stays(smooth):
    skip_without_its_package(smooth)
    clean = step_volume()
    image = noisy(clean, 0.5)
    before = image.copy()
    filtered = smooth(image, 0.04, Modality.PET)
    assert filtered.dtype == np.float32
    assert np.abs(filtered - clean).mean() < 0.5 * np.abs(image - clean).mean()
    assert (filtered[16] - filtered[15]).mean() > 9.0
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("smooth", EDGE_PRESERVING)
def test_slices_do_not_mix_and_strength_scales_with_the_window(smooth):
    skip_without_its_package(smooth)
    image = noisy(step_volume(), 0.5)
    together = smooth(image, 0.02, Modality.PET)
    # Two runs of BM3D differ by rounding, which its thresholds turn into small steps.
    close = {"rtol": 0.0, "atol": 0.02 if smooth is bm3d else 1e-3}
    np.testing.assert_allclose(together[..., :1], smooth(image[..., :1], 0.02, Modality.PET), **close)
    # CT's window is 400 HU wide, PET's 20 SUV.
    np.testing.assert_allclose(smooth(20.0 * image, 0.02, Modality.CT) / 20.0, together, **close)


@pytest.mark.parametrize("smooth", EDGE_PRESERVING)
def test_no_strength_no_change(smooth):
    skip_without_its_package(smooth)
    image = noisy(step_volume(), 0.5)
    unfiltered = smooth(image, 0.0, Modality.PET)
    np.testing.assert_array_equal(unfiltered, image)
    assert not np.shares_memory(unfiltered, image)


@pytest.mark.parametrize("shape", [(64, 48), (63, 50), (65, 71)], ids=str)
def test_bicubic_puts_the_acquired_pixels_back_in_their_places(shape):
    """A slice that the truncation kept whole comes back, to the error of cubic interpolation; a shift would be 10."""
    clean = smooth_slices(shape, highest=2)
    degraded = np.stack([reduce_resolution(clean[..., index]) for index in range(2)], axis=-1)
    np.testing.assert_allclose(degraded, clean, atol=0.01)
    restored = bicubic(degraded, -0.5)
    assert restored.dtype == np.float32
    inner = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(restored[inner], clean[inner], atol=3.0)


def test_bicubic_takes_any_number_of_acquired_lines():
    clean = smooth_slices((64, 50), highest=2)
    n_kept = (22, 31)
    coverage = KSpaceCoverage(kept=(n_kept[0] / 64, n_kept[1] / 50))
    degraded = np.stack([acquire(clean[..., index], seed=0, coverage=coverage) for index in range(2)], axis=-1)
    inner = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(bicubic(degraded, -0.5, n_kept=n_kept)[inner], clean[inner], atol=3.0)


@pytest.mark.parametrize("parameter", FILTERS["bicubic"].parameters)
def test_bicubic_keeps_a_constant(parameter):
    np.testing.assert_allclose(bicubic(np.full((21, 34, 1), 7.0, dtype=np.float32), parameter), 7.0, rtol=1e-5)


def test_filters_are_found_by_name():
    plain, cubic = find_filters(["gaussian", "bicubic"])
    image = noisy(step_volume(), 0.5)
    np.testing.assert_array_equal(plain.apply(image, 1.2, Modality.CT), gaussian(image, 1.2))
    assert plain.parameters == SIGMAS
    assert cubic.modalities == {Modality.MRI}
    assert plain.modalities == set(Modality)
    assert find_filters([]) == []


@pytest.mark.parametrize("sigma", [-1.0, math.nan, math.inf])
def test_an_impossible_sigma_is_refused(sigma):
    with pytest.raises(RefusedInputError, match="pixels: pass a finite standard deviation of 0 or more"):
        gaussian(step_volume(), sigma)


def test_what_cannot_be_filtered_is_refused():
    with pytest.raises(
        RefusedInputError, match=r"\['median'\] are unknown: choose from gaussian, gaussian_3d, bilateral"
    ):
        find_filters(["gaussian", "median"])
    with pytest.raises(RefusedInputError, match="strength is -1: pass a share"):
        total_variation(step_volume(), -1, Modality.CT)
    with pytest.raises(RefusedInputError, match=r"shape \(4, 4\) is not \(H, W, D\)"):
        bicubic(np.zeros((4, 4), dtype=np.float32), -0.5)
    with pytest.raises(RefusedInputError, match=r"shape \(4, 4\) is not \(H, W, D\)"):
        gaussian(np.zeros((4, 4), dtype=np.float32), 1.0)


def test_without_scikit_image_the_remedy_is_named_before_any_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    find_filters(["gaussian", "bicubic"])
    with pytest.raises(ImportError, match=r"needs skimage\.restoration: run pip install '\.\[report\]'"):
        find_filters(["non_local_means"])
