import numpy as np
import pytest

from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.mri import reduce_resolution, truncate_kspace, zero_fill
from tests.helper import assert_adjoint


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 1200, (53, 38)).astype(np.float32)


@pytest.mark.parametrize(("shape", "factor"), [((32, 32), 4), ((53, 38), 4), ((181, 217), 4), ((7, 9), 2)])
def test_truncation_and_zero_filling_are_adjoint(shape, factor):
    kept = (shape[0] // factor, shape[1] // factor)
    assert_adjoint(
        lambda x: truncate_kspace(x, factor=factor),
        lambda y: zero_fill(y, shape, factor=factor),
        shape,
        kept,
        is_complex=True,
    )


def test_the_measurement_of_the_reconstruction_is_the_measurement(image):
    kspace = truncate_kspace(image)
    reconstructed = zero_fill(kspace, image.shape)
    np.testing.assert_allclose(truncate_kspace(reconstructed), kspace, atol=1e-2)
    np.testing.assert_allclose(reduce_resolution(image), np.abs(reconstructed), rtol=1e-6)


def test_only_the_centre_of_kspace_is_kept(image):
    spectrum = np.fft.fftshift(np.fft.fft2(zero_fill(truncate_kspace(image), image.shape)))
    energy = np.abs(spectrum) > 1e-3 * np.abs(spectrum).max()
    rows, columns = np.flatnonzero(energy.any(axis=1)), np.flatnonzero(energy.any(axis=0))
    assert (rows.min(), rows.max()) == (26 - 6, 26 + 6)
    assert (columns.min(), columns.max()) == (19 - 4, 19 + 4)


@pytest.mark.parametrize("shape", [(64, 48), (53, 38), (181, 217)])
def test_a_band_limited_image_is_unchanged(shape):
    y, x = (np.arange(size)[:, None].reshape((-1, 1) if axis == 0 else (1, -1)) for axis, size in enumerate(shape))
    smooth = 500 + 200 * np.cos(2 * np.pi * 3 * y / shape[0] + 0.4) * np.cos(2 * np.pi * 2 * x / shape[1])
    np.testing.assert_allclose(reduce_resolution(smooth), smooth, rtol=1e-5)


def test_finer_detail_than_the_band_is_lost():
    checkerboard = 500 + 200.0 * ((np.indices((32, 32)).sum(axis=0) % 2) * 2 - 1)
    np.testing.assert_allclose(reduce_resolution(checkerboard), 500, rtol=1e-5)


def test_factor_one_changes_nothing(image):
    np.testing.assert_allclose(reduce_resolution(image, factor=1), image, atol=1e-2)


def test_the_input_is_left_alone_and_the_result_repeats(image):
    before = image.copy()
    first, second = reduce_resolution(image), reduce_resolution(image)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (np.zeros((4, 5, 6)), "slice by slice"),
        (np.zeros(5), "slice by slice"),
        (np.zeros((0, 8)), "slice by slice"),
        (np.full((8, 8), np.nan), "64 values that are NaN"),
        (np.zeros((8, 3)), r"outside \[1, 3\]"),
    ],
)
def test_refuses_what_is_no_slice(bad, reason):
    with pytest.raises(RefusedInputError, match=reason):
        reduce_resolution(bad)


@pytest.mark.parametrize("factor", [0, -4, 54])
def test_refuses_an_absurd_factor(image, factor):
    with pytest.raises(RefusedInputError, match="outside"):
        reduce_resolution(image, factor=factor)


def test_refuses_samples_that_do_not_fit():
    with pytest.raises(RefusedInputError, match=r"pass samples of shape \(8, 8\)"):
        zero_fill(np.zeros((9, 8), dtype=np.complex64), (32, 32))
