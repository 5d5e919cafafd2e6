import math
import sys

import numpy as np
import pytest

pytest.importorskip("astra")

from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.ct import LowDose, calibrated_photons, filtered_back_projection, reduce_dose
from bundle.tat.simulation.projector import ParallelBeam
from tests.helper import assert_adjoint

PIXEL_SIZE = 2.0  # mm, so that a body fits into a small image
FAST = LowDose(n_angles=180)


@pytest.fixture(scope="module")
def body() -> np.ndarray:
    """An elliptic body of 320 mm by 220 mm with lungs and a spine, in a slice of odd sizes."""
    y, x = np.mgrid[:131, :171] * PIXEL_SIZE
    y, x = y - 131, x - 171
    image = np.full(x.shape, -1000.0, dtype=np.float32)
    image[(x / 160) ** 2 + (y / 110) ** 2 < 1] = 40
    image[((np.abs(x) - 75) / 50) ** 2 + (y / 75) ** 2 < 1] = -800
    image[x**2 + (y - 65) ** 2 < 20**2] = 500
    return image


def soft_tissue_noise(low: np.ndarray, full: np.ndarray) -> float:
    window = np.clip(low, -160, 240) - np.clip(full, -160, 240)
    return float(np.sqrt((window**2).mean()))


@pytest.mark.parametrize("shape", [(32, 32), (33, 20), (15, 41)])
def test_projection_and_back_projection_are_adjoint(shape):
    beam = ParallelBeam(shape, 0.8, 24)
    assert_adjoint(beam.forward, beam.adjoint, shape, beam.sinogram_shape)


def test_the_matrix_is_the_operator():
    beam = ParallelBeam((21, 30), 1.5, 12)
    image = np.random.default_rng(1).random(beam.shape)
    np.testing.assert_allclose(
        (beam.matrix() @ image.ravel()).reshape(beam.sinogram_shape), beam.forward(image), rtol=1e-4, atol=1e-4
    )


def test_a_line_integral_is_a_length_times_a_value():
    beam = ParallelBeam((101, 101), 2.0, 8)
    y, x = np.mgrid[:101, :101] * 2.0 - 100
    disk = np.where(x**2 + y**2 < 60**2, 0.02, 0.0)
    central = beam.forward(disk)[:, beam.n_detectors // 2]
    np.testing.assert_allclose(central, 0.02 * 120, rtol=0.05)


def test_filtered_back_projection_inverts_the_projection(body):
    beam = ParallelBeam(body.shape, PIXEL_SIZE, 360)
    attenuation = 0.0192 * (1 + body / 1000)
    back = filtered_back_projection(beam.forward(attenuation), beam)
    interior = (slice(60, 70), slice(82, 90))  # between the lungs
    assert back[interior].mean() == pytest.approx(attenuation[interior].mean(), rel=0.02)
    assert abs(back[:10, :10].mean()) < 0.02 * 0.0192


def test_quarter_dose_adds_about_14_hu_in_the_soft_tissue_window():
    """Calibrated on a chest CT at its native pixels; a plain ellipse in like pixels stays within 25 %."""
    y, x = np.mgrid[:401, :501] * 0.65
    inside = ((x - 162) / 155) ** 2 + ((y - 130) / 105) ** 2 < 1
    image = np.where(inside, 40.0, -1000.0)
    image[((np.abs(x - 162) - 75) / 50) ** 2 + ((y - 130) / 75) ** 2 < 1] = -800
    noise = soft_tissue_noise(reduce_dose(image, 0.65, seed=0, dose=LowDose(n_angles=360)), image)
    assert noise == pytest.approx(14, rel=0.25)


def test_noise_grows_as_the_dose_falls(body):
    noise = [
        (reduce_dose(body, PIXEL_SIZE, seed=4, dose=LowDose(dose_fraction=fraction, n_angles=180)) - body).std()
        for fraction in (1.0, 0.5, 0.25, 0.1)
    ]
    assert noise[0] == 0
    # Quantum noise: the variance that is added goes with (1 - a) / a, and electronic noise makes it a little more.
    assert 1.0 <= noise[2] / noise[1] / math.sqrt(3) < 1.1
    assert 1.0 <= noise[3] / noise[2] / math.sqrt(3) < 1.3


def test_noise_falls_with_more_photons_and_has_no_bias(body):
    few, many = (
        reduce_dose(body, PIXEL_SIZE, seed=4, dose=LowDose(detected_photons=photons, n_angles=180)) - body
        for photons in (400, 1600)
    )
    assert few.std() / many.std() == pytest.approx(2, rel=0.15)
    assert abs(many.mean()) < 0.1 * many.std()


def test_a_seed_repeats_and_another_does_not(body):
    before = body.copy()
    first, second, other = (reduce_dose(body, PIXEL_SIZE, seed=seed, dose=FAST) for seed in (7, 7, 8))
    np.testing.assert_array_equal(body, before)
    np.testing.assert_array_equal(first, second)
    assert abs(np.corrcoef((first - body).ravel(), (other - body).ravel())[0, 1]) < 0.05
    assert first.dtype == np.float32


def test_what_lies_outside_the_field_of_view_is_air(body):
    """Scanners write -2000 or so there: it must neither shine through nor be changed to something else."""
    padded = body.copy()
    padded[0, :] = -3024
    at_air = body.copy()
    at_air[0, :] = -1024
    low, low_at_air = (reduce_dose(image, PIXEL_SIZE, seed=2, dose=FAST) for image in (padded, at_air))
    np.testing.assert_array_equal(low[1:], low_at_air[1:])
    np.testing.assert_allclose(low[0], low_at_air[0] - 2000, atol=1e-3)


def test_the_calibration_is_what_was_measured():
    assert calibrated_photons(0.95) == pytest.approx(300)
    assert calibrated_photons(0.6) == pytest.approx(800)
    assert calibrated_photons(0.7) > calibrated_photons(0.8)


@pytest.mark.parametrize(
    ("image", "pixel_size", "reason"),
    [
        (np.zeros((4, 4, 4)), 1.0, "at a time"),
        (np.full((4, 4), np.inf), 1.0, "NaN or infinite"),
        (np.zeros((4, 4)), 0.0, "pixel_size"),
        (np.zeros((4, 4)), -1.0, "pixel_size"),
        (np.zeros((4, 4)), float("nan"), "pixel_size"),
    ],
)
def test_refuses_a_bad_slice_or_pixel_size(image, pixel_size, reason):
    with pytest.raises(RefusedInputError, match=reason):
        reduce_dose(image, pixel_size, seed=0)


@pytest.mark.parametrize(
    "parameters",
    [
        {"dose_fraction": 0.0},
        {"dose_fraction": 1.5},
        {"dose_fraction": float("nan")},
        {"detected_photons": 0.0},
        {"electronic_variance": -1.0},
        {"cutoff": 0.0},
        {"n_angles": 0},
    ],
)
def test_refuses_absurd_parameters(parameters):
    with pytest.raises(RefusedInputError, match=next(iter(parameters))):
        LowDose(**parameters)


def test_a_missing_package_is_named_with_its_remedy(body, monkeypatch):
    monkeypatch.setitem(sys.modules, "astra", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[simulation\]'"):
        reduce_dose(body, PIXEL_SIZE, seed=0)


def test_refuses_another_grid_than_the_projector_was_made_for():
    beam = ParallelBeam((8, 9), 1.0, 4)
    with pytest.raises(RefusedInputError, match=r"pass shape \(8, 9\)"):
        beam.forward(np.zeros((9, 8)))
    with pytest.raises(RefusedInputError, match="sinogram has shape"):
        beam.adjoint(np.zeros((4, 9)))
