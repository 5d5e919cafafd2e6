import numpy as np
import pytest

from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.texture import NoiseTexture, add_count_noise, textured_noise, uneven_level

TEXTURES = [
    NoiseTexture(0.0, 0.71, "hard"),
    NoiseTexture(0.5, 0.4, "hard"),
    NoiseTexture(1.0, 0.5, "hann"),
    NoiseTexture(1.0, 0.3, "gaussian"),
    NoiseTexture(1.0, 0.6, "shepp_logan"),
]


def radial_spectrum(images, n_bands=12):
    """Mean power of square images at radial frequencies up to 0.5 cycles a pixel."""
    size = images[0].shape[0]
    power = np.mean([np.abs(np.fft.fft2(image)) ** 2 for image in images], axis=0)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    band = np.minimum((radius * 2 * n_bands).astype(int), n_bands)
    sums = np.bincount(band.ravel(), power.ravel())[:n_bands]
    return radius, band, sums / np.bincount(band.ravel())[:n_bands]


@pytest.mark.parametrize("texture", TEXTURES, ids=str)
def test_the_noise_has_the_spectrum_that_was_asked_for(texture):
    draws = [textured_noise((96, 96), texture, seed=seed) for seed in range(12)]
    radius, band, found = radial_spectrum(draws)
    power = texture.power(radius)
    wanted = np.array([power[band == index].mean() for index in range(len(found))])
    np.testing.assert_allclose(found / found.sum(), wanted / wanted.sum(), atol=0.012)


@pytest.mark.parametrize("texture", TEXTURES, ids=str)
def test_the_noise_has_mean_0_and_deviation_1_and_follows_the_seed(texture):
    one, again, other = (textured_noise((40, 53), texture, seed=seed) for seed in (3, 3, 4))
    assert (float(one.mean()), float(one.std())) == pytest.approx((0.0, 1.0), abs=1e-5)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.5


def test_a_slice_too_small_for_the_window_has_no_noise():
    assert not textured_noise((2, 2), NoiseTexture(1.0, 0.2, "hard"), seed=0).any()


@pytest.mark.parametrize("spread", [1.0, 2.0, 5.0])
def test_the_level_is_uneven_as_asked_and_keeps_the_mean_square(spread):
    level = uneven_level((60, 50), spread=spread, seed=1)
    assert level.max() / level.min() == pytest.approx(spread, rel=1e-4)
    assert float((level**2).mean()) == pytest.approx(1.0, rel=1e-4)


def test_count_noise_grows_with_uptake_and_has_the_width():
    image = np.full((128, 128), 1.0)
    image[:, 64:] = 4.0
    noise = np.stack([add_count_noise(image, level=0.1, fwhm=(4.0, 2.0), seed=seed) - image for seed in range(8)])
    cold, hot = noise[:, :, 8:56], noise[:, :, 72:120]
    assert hot.std() / cold.std() == pytest.approx(4**0.75, rel=0.1)
    assert hot.std() / 4.0 == pytest.approx(0.1, rel=0.15)
    for axis, width in ((1, 4.0), (2, 2.0)):
        # Of a Gaussian, neighbours at a distance d are correlated by exp(-d^2 / 4 sigma^2).
        neighbours = [np.take(hot, range(part, hot.shape[axis] - 2 + part), axis) for part in (0, 2)]
        correlation = np.corrcoef(*(part.ravel() for part in neighbours))[0, 1]
        assert correlation == pytest.approx(np.exp(-4 / (4 * (width / 2.3548) ** 2)), abs=0.06)


def test_count_noise_has_a_width_across_slices_too():
    image = np.full((5, 96, 96), 2.0)
    for width in (0.0, 1.0, 3.0):
        widths = (width, 1.0, 1.0)
        noise = np.stack([add_count_noise(image, level=0.1, fwhm=widths, seed=seed) - image for seed in range(6)])
        assert noise.std(axis=(0, 2, 3)) == pytest.approx(np.full(5, 0.2), rel=0.05)
        for apart in (1, 2):
            correlation = np.corrcoef(noise[:, :-apart].ravel(), noise[:, apart:].ravel())[0, 1]
            expected = np.exp(-((apart * 2.3548 / width) ** 2) / 4) if width else 0.0
            assert correlation == pytest.approx(expected, abs=0.03)


def test_one_slice_of_a_stack_is_a_slice():
    image = np.random.default_rng(0).random((40, 31))
    alone = add_count_noise(image, level=0.3, fwhm=(2.0, 1.0), seed=4)
    np.testing.assert_array_equal(add_count_noise(image[None], level=0.3, fwhm=(9.0, 2.0, 1.0), seed=4)[0], alone)


def test_nothing_is_added_to_air_and_nothing_becomes_negative():
    image = np.zeros((32, 32))
    image[8:24, 8:24] = 2.0
    noisy = add_count_noise(image, level=0.8, fwhm=(2.0, 2.0), seed=0)
    assert noisy.min() >= 0
    assert not noisy[:8].any()
    assert not add_count_noise(np.zeros((8, 8)), level=0.5, fwhm=(2, 2), seed=0).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NoiseTexture(rise=-1), "rise is -1"),
        (lambda: NoiseTexture(cutoff=0.8), "cutoff is 0.8"),
        (lambda: NoiseTexture(window="box"), "window is 'box'"),
        (lambda: uneven_level((4, 4), spread=0.5, seed=0), "spread is 0.5"),
        (lambda: add_count_noise(np.ones((4, 4)), level=-1, fwhm=(1, 1), seed=0), "level is -1"),
        (lambda: add_count_noise(np.ones((3, 4, 4)), level=1, fwhm=(1, 1), seed=0), "a width for each axis"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parameters_outside_their_bounds_are_refused(make, message):
    with pytest.raises(RefusedInputError, match=message):
        make()
