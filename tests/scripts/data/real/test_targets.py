"""What averaging leaves of noise is what is said to be left, and images keep their place."""

import importlib

import numpy as np
import pytest

targets, volumes = (importlib.import_module(f"scripts.data.{name}") for name in ("real.targets", "volumes"))


def muscle(sigma, shape=(96, 80, 24), seed=0):
    """Slices of muscle beside fat, with noise of a known deviation."""
    clean = np.where(np.arange(shape[0])[:, None, None] < shape[0] // 2, 55.0, -90.0)
    noise = np.random.default_rng(seed).normal(0.0, sigma, shape)
    return volumes.Volume((clean + noise).astype(np.float32), np.diag([0.8, 0.8, 3.0, 1.0]))


@pytest.mark.parametrize("n_averaged", [1, 2, 3, 4])
def test_the_noise_of_a_mean_is_found(n_averaged):
    found = targets.measure_ct_noise(muscle(12.0), n_averaged)
    assert found == pytest.approx(12.0 / np.sqrt(n_averaged), rel=0.1)


def test_anatomy_that_rises_from_slice_to_slice_is_no_noise():
    rising = muscle(4.0)
    ramp = np.linspace(0.0, 30.0, 24, dtype=np.float32)
    found = targets.measure_ct_noise(rising._replace(values=rising.values + ramp), 4)
    assert found == pytest.approx(2.0, rel=0.15)


def test_outliers_hardly_change_the_measure():
    values = np.random.default_rng(0).normal(0.0, 3.0, 10_000).astype(np.float32)
    values[:500] = 1000.0
    assert targets.robust_deviation(values) == pytest.approx(3.0, rel=0.15)


def test_averaged_slices_are_means_in_the_middle_of_their_places():
    volume = muscle(5.0)
    thick = targets.average_slices(volume, 5)
    assert thick.values.shape == (96, 80, 4)
    np.testing.assert_allclose(thick.values[:, :, 1], volume.values[:, :, 5:10].mean(axis=2), atol=1e-3)
    np.testing.assert_allclose(thick.affine @ [0, 0, 1, 1], volume.affine @ [0, 0, 7, 1])


@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 2.5])
def test_averaged_pixels_show_the_same_place(factor):
    """A line through the middle of the body stays where it was, to a tenth of an old pixel."""
    values = np.zeros((60, 75, 2), dtype=np.float32)
    values[20, 30] = 1.0
    volume = volumes.Volume(values, np.array([[-0.8, 0, 0, 9], [0, 0.8, 0, 7], [0, 0, 3.0, 5], [0, 0, 0, 1.0]]))

    def centre(shown):
        weights = shown.values[:, :, 0] / shown.values[:, :, 0].sum()
        index = [(weights * np.indices(weights.shape)[axis]).sum() for axis in (0, 1)]
        return shown.affine @ [*index, 0, 1]

    coarse = targets.average_pixels(volume, factor)
    assert coarse.values.shape[:2] == (round(60 / factor), round(75 / factor))
    np.testing.assert_allclose(centre(coarse), centre(volume), atol=0.08)


def test_averaged_pixels_have_less_noise():
    noisy = muscle(20.0)
    assert targets.measure_ct_noise(targets.average_pixels(noisy, 2.0), 1) < 10.0


def test_smoothed_uptake_keeps_its_place_at_other_voxels():
    values = np.zeros((30, 26, 20), dtype=np.float32)
    values[14, 12, 9] = 50.0
    volume = volumes.Volume(values, np.diag([-5.0, 5.0, 3.3, 1.0]))
    sampled = targets.smooth_and_sample(volume, 8.0, (2.0, 4.0, 3.0))
    np.testing.assert_allclose(np.linalg.norm(sampled.affine[:3, :3], axis=0), (2.0, 4.0, 3.0))
    brightest = np.array(np.unravel_index(sampled.values.argmax(), sampled.values.shape))
    np.testing.assert_allclose((sampled.affine @ [*brightest, 1])[:3], [-70.0, 60.0, 29.7], atol=2.1)
    assert sampled.values.min() >= 0


def test_smoothing_leaves_less_noise_of_pet():
    random = np.random.default_rng(0)
    uptake = np.full((30, 30, 40), 0.2, dtype=np.float32)
    uptake[5:25, 5:25] = 1.0
    noisy = uptake * random.normal(1.0, 0.2, uptake.shape).astype(np.float32)
    volume = volumes.Volume(noisy, np.diag([5.0, 5.0, 3.3, 1.0]))
    none, some = (targets.measure_pet_noise(volume, fwhm) for fwhm in (0.01, 8.0))
    assert none == pytest.approx(0.2 / np.sqrt(2), rel=0.2)  # of the mean of two slices
    assert some < none / 2
