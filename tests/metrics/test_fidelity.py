import numpy as np
import pytest

from bundle.tat.metrics.fidelity import (
    kspace_error,
    noise_power_spectrum,
    tissue_bias,
    uptake_bias,
)
from bundle.tat.simulation.mri import reduce_resolution


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_what_was_measured_is_kept_by_adding_other_frequencies_only():
    clean = 500 + 50 * noise((64, 48, 2))
    measured = np.stack([reduce_resolution(clean[..., index]) for index in range(2)], -1)
    wave = 30 * np.cos(np.pi * np.arange(64))[:, None, None].astype(np.float32)
    assert kspace_error(measured, measured) == 0
    assert kspace_error(measured + wave, measured) < 1e-6
    assert kspace_error(1.1 * measured, measured) == pytest.approx(0.1, rel=1e-5)


def test_a_shift_of_one_tissue_shows_there_only():
    clean = np.zeros((30, 30, 2), np.float32)
    clean[:10], clean[10:20], clean[20:] = -800, -100, 40
    changed = clean + np.where(clean == -100, 7, 0).astype(np.float32)
    biases = tissue_bias(changed, clean)
    assert set(biases) == {"lung", "fat", "soft tissue"}
    assert biases["fat"].mean == pytest.approx(7)
    assert biases["lung"].mean == biases["soft tissue"].mean == 0
    assert biases["fat"].n_voxels == 600


def test_the_spectrum_of_white_noise_is_flat_and_holds_its_variance():
    clean = np.full((192, 160, 4), 40, np.float32)
    spectrum = noise_power_spectrum(clean + 5 * noise(clean.shape), clean, (0.8, 0.8))
    assert spectrum.n_regions == 4 * 5 * 4
    np.testing.assert_allclose(spectrum.power, 25 * 0.64, rtol=0.35)
    assert spectrum.power.mean() == pytest.approx(25 * 0.64, rel=0.1)
    assert spectrum.frequencies[-1] < 0.5 / 0.8
    assert spectrum.variance == pytest.approx(25 * np.pi / 4, rel=0.05)  # of the square, the circle in it


def test_smoothing_lowers_the_mean_frequency():
    clean = np.full((128, 128, 2), 40, np.float32)
    white = noise(clean.shape)
    smooth = (white + np.roll(white, 1, 0) + np.roll(white, 1, 1) + np.roll(white, (1, 1), (0, 1))) / 4
    spectra = [noise_power_spectrum(clean + it, clean, (1, 1)).mean_frequency for it in (white, smooth)]
    assert spectra[1] < 0.7 * spectra[0]


def test_no_soft_tissue_is_refused():
    air = np.full((128, 128, 1), -1000, np.float32)
    with pytest.raises(ValueError, match="64 x 64 pixels lies within soft tissue"):
        noise_power_spectrum(air, air, (1, 1))


def test_uptake_errors_are_relative():
    clean = np.full((8, 8, 8), 2.0, np.float32)
    lesion = np.zeros(clean.shape, bool)
    lesion[2:4, 2:4, 2:4] = True
    clean[lesion] = 5
    clean[2, 2, 2] = 10
    changed = np.where(lesion, 0.9 * clean, clean).astype(np.float32)
    bias = uptake_bias(changed, clean, lesion)
    assert bias.lesion_mean == pytest.approx(-0.1, rel=1e-5)
    assert bias.lesion_max == pytest.approx(-0.1, rel=1e-5)
    assert -0.1 < bias.total < 0
    assert bias.n_voxels == 8
    with pytest.raises(ValueError, match="mask is empty"):
        uptake_bias(changed, clean, lesion & False)
