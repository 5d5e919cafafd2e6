"""Measures that need no clean scan, on slices of known noise and structure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.tat.metrics.kspace_change import kspace_change
from bundle.tat.metrics.noise import N_BINS, NYQUIST, bin_centres, flat_noise, radial_spectrum
from bundle.tat.metrics.regions import BLOCK_SIDE, MIN_BLOCKS, find_regions, smoothed, to_blocks
from bundle.tat.metrics.residual import measure_residual
from bundle.tat.metrics.uptake import PEAK_RADIUS, PLACES_APART, hottest_places
from bundle.tat.modality import Modality
from bundle.tat.simulation.texture import NoiseTexture, textured_noise

SOFT = NoiseTexture(rise=1.0, cutoff=0.35, window="gaussian")
WHITE = NoiseTexture(rise=0.0, cutoff=0.71, window="hard")


def anatomy(side=120):
    """Soft tissue in air, with organs whose edges are strong."""
    down, right = np.mgrid[:side, :side] / side - 0.5
    image = np.full((side, side), -1000.0)
    image[np.hypot(down, right) < 0.45] = 40.0
    image[np.hypot(down - 0.1, right - 0.15) < 0.1] = 300.0
    image[np.hypot(down + 0.15, right + 0.1) < 0.12] = -90.0
    return smoothed(image.astype(np.float32), 0.7)


def noisy(image, deviation, texture=WHITE, seed=0):
    return (image + deviation * textured_noise(image.shape, texture, seed=seed)).astype(np.float32)


@settings(max_examples=20)
@given(deviation=st.floats(1.0, 60.0), seed=st.integers(0, 20), texture=st.sampled_from([WHITE, SOFT]))
def test_noise_of_flat_tissue_is_found_to_a_quarter(deviation, seed, texture):
    clean = anatomy()
    regions = find_regions(clean, Modality.CT)
    # Of soft noise, a block holds a few grains only, and its plane takes some of them.
    assert flat_noise(noisy(clean, deviation, texture, seed), regions) == pytest.approx(deviation, rel=0.25)


def test_a_plane_is_no_noise():
    clean = np.add.outer(np.arange(60.0), 2 * np.arange(60.0)).astype(np.float32)
    assert flat_noise(clean, find_regions(clean, Modality.CT)) == pytest.approx(0.0, abs=1e-3)


def test_edges_are_where_organs_end_and_flat_blocks_are_elsewhere():
    clean = anatomy()
    regions = find_regions(clean, Modality.CT)
    steepness = np.hypot(*np.gradient(clean))
    assert steepness[regions.edges].min() > np.median(steepness[regions.body])
    assert to_blocks(steepness)[regions.blocks].max() < 1.0
    assert len(regions.blocks) >= MIN_BLOCKS
    assert not regions.body[0, 0]


@pytest.mark.parametrize("modality", list(Modality))
def test_a_slice_without_tissue_has_no_regions(modality):
    assert find_regions(np.full((64, 64), -1000.0, np.float32), modality) is None


@pytest.mark.parametrize("shape", [(1, 1), (BLOCK_SIDE - 1, 9), (200, 1)])
def test_a_slice_smaller_than_a_block_has_no_regions(shape):
    assert find_regions(np.full(shape, 40.0, np.float32), Modality.CT) is None


def test_taking_noise_alone_changes_edges_as_little_as_flat_tissue():
    clean = anatomy()
    residual = measure_residual(noisy(clean, 20.0), clean, find_regions(clean, Modality.CT))
    assert residual.edge_ratio == pytest.approx(1.0, abs=0.15)
    assert residual.flat == pytest.approx(20.0, rel=0.1)
    assert residual.autocorrelation == pytest.approx(0.0, abs=0.05)
    assert residual.blur == pytest.approx(0.0, abs=0.06)


def test_blurred_edges_are_told_from_noise():
    """The root of 2 is where edges begin to lose: here they lose, and lie far above it."""
    clean = anatomy()
    image, blurred = noisy(clean, 3.0), smoothed(clean, 1.5)
    residual = measure_residual(image, blurred, find_regions(blurred, Modality.CT))
    assert residual.edge_ratio > 3.0
    assert residual.body_ratio > 1.2
    assert residual.blur > 0.3


def test_sharpened_edges_have_the_other_sign():
    clean = anatomy()
    sharp = clean + (clean - smoothed(clean, 1.0))
    assert measure_residual(clean, sharp, find_regions(sharp, Modality.CT)).blur < -0.3


def test_the_edge_ratio_of_the_root_of_two_is_where_edges_lose_nothing_and_gain_nothing():
    """What the module says of errors: noise taken and structure taken weigh the same there."""
    random = np.random.default_rng(0)
    noise, structure = random.standard_normal((2, 10**6))
    residual = -noise + structure
    assert np.sqrt((residual**2).mean()) == pytest.approx(np.sqrt(2.0), rel=0.01)
    assert np.sqrt(((noise + residual) ** 2).mean()) == pytest.approx(np.sqrt((noise**2).mean()), rel=0.01)


def test_correlated_noise_shows_in_the_autocorrelation():
    clean = anatomy()
    regions = find_regions(clean, Modality.CT)
    soft, white = (measure_residual(noisy(clean, 9.0, texture), clean, regions) for texture in (SOFT, WHITE))
    assert soft.autocorrelation > white.autocorrelation + 0.3


def test_nothing_changed_is_nothing_measured():
    clean = anatomy()
    residual = measure_residual(clean, clean, find_regions(clean, Modality.CT))
    assert (residual.flat, residual.edges, residual.body, residual.autocorrelation, residual.blur) == (0, 0, 0, 0, 0)
    assert residual.edge_ratio == residual.body_ratio == 0.0


@pytest.mark.parametrize("shape", [(64, 64), (63, 48), (48, 63)])
@pytest.mark.parametrize("frequency", [0.11, 0.27, 0.42])
def test_a_wave_has_its_power_in_its_bin(shape, frequency):
    wave = np.cos(2 * np.pi * frequency * np.arange(shape[1]))[None, :] * np.ones((shape[0], 1))
    spectrum = radial_spectrum(wave * np.hanning(shape[1]))
    assert abs(bin_centres()[spectrum.argmax()] - frequency) <= NYQUIST / N_BINS
    assert spectrum.sum() == pytest.approx(1.0)


def test_white_noise_has_power_in_proportion_to_the_area_of_each_ring():
    spectrum = radial_spectrum(np.random.default_rng(0).standard_normal((256, 255)))
    np.testing.assert_allclose(spectrum, bin_centres() / bin_centres().sum(), atol=0.01)


def test_no_change_has_no_spectrum():
    assert not radial_spectrum(np.zeros((32, 32))).any()


def test_only_the_measured_part_of_kspace_counts():
    random = np.random.default_rng(0)
    image = random.uniform(100, 900, (64, 64)).astype(np.float32)
    wave = 40 * np.cos(2 * np.pi * 26 / 64 * np.arange(64))[None, :] * np.ones((64, 1))
    assert kspace_change(image, (image + wave).astype(np.float32), (0.25, 0.25)) == pytest.approx(0.0, abs=1e-5)
    assert kspace_change(image, (image + wave).astype(np.float32), (1.0, 1.0)) > 0.05
    assert kspace_change(image, 1.1 * image, (0.25, 0.25)) == pytest.approx(0.1, rel=0.01)
    assert kspace_change(image, image, (None, 0.25)) is None
    assert kspace_change(image, image, ()) is None
    assert kspace_change(np.ones((8, 8), np.float32), np.ones((8, 8), np.float32), (0.5, 0.5)) is None


def test_suv_peak_is_the_mean_of_a_sphere_of_one_millilitre():
    voxel = (2.0, 2.0, 2.0)
    image = np.ones((40, 40, 40), np.float32)
    grids = np.ogrid[:40, :40, :40]
    distance = np.sqrt(sum(((grid - 20) * 2.0) ** 2 for grid in grids))
    inside = distance <= PEAK_RADIUS
    assert inside.sum() * 8.0 == pytest.approx(1000.0, rel=0.1)  # mm^3
    image[inside] = 6.0
    image[20, 20, 20] = 9.0
    place = hottest_places(image, 0.5 * image, voxel)[0]
    assert place.voxel == (20, 20, 20)
    assert place.suv_max == (9.0, 4.5)
    assert place.suv_peak == pytest.approx((6.0 + 3.0 / inside.sum(), 0.5 * (6.0 + 3.0 / inside.sum())))


def test_hot_places_lie_apart():
    image = np.random.default_rng(0).uniform(0, 5, (30, 30, 10)).astype(np.float32)
    places = hottest_places(image, image, (4.0, 4.0, 4.0))
    for one in places:
        for other in places:
            if one is not other:
                assert 4.0 * np.linalg.norm(np.subtract(one.voxel, other.voxel)) > PLACES_APART
    assert hottest_places(np.zeros((5, 5, 5), np.float32), np.zeros((5, 5, 5), np.float32), (1, 1, 1)) == []
