import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.kspace.fourier_grid import FourierGrid, apply_to_slice
from bundle.tat.refusal import RefusedInputError

sizes = st.integers(1, 40)


@given(n=sizes, more=st.integers(0, 90), seed=st.integers(0, 99))
def test_coarsening_undoes_refining(n, more, seed):
    grid = FourierGrid(n, n + more)
    values = np.random.default_rng(seed).normal(size=n)
    np.testing.assert_allclose(grid.coarsen @ (grid.refine @ values), values, atol=1e-8)


@given(n=sizes, n_fine=st.integers(1, 130))
def test_the_field_of_view_stays(n, n_fine):
    """Both edges, in coarse pixels: the centres lie half a pixel within them."""
    if n_fine < n:
        with pytest.raises(RefusedInputError, match="n_fine of at least n"):
            FourierGrid(n, n_fine)
        return
    grid, side = FourierGrid(n, n_fine), n / n_fine
    assert grid.first_centre - side / 2 == pytest.approx(-0.5)
    assert grid.first_centre + (n_fine - 0.5) * side == pytest.approx(n - 0.5)


@pytest.mark.parametrize(("n", "n_fine"), [(32, 64), (33, 64), (32, 47), (31, 93)])
def test_a_wave_is_continued_between_the_pixels(n, n_fine):
    """A wave of the coarse grid has its values at the centres of the finer pixels."""
    grid = FourierGrid(n, n_fine)
    places = np.arange(n_fine) * n / n_fine + grid.first_centre
    for frequency in (0, 1, 5, 14):
        wave = np.cos(2 * np.pi * frequency * np.arange(n) / n + 0.3)
        finer = np.cos(2 * np.pi * frequency * places / n + 0.3)
        np.testing.assert_allclose(grid.refine @ wave, finer, atol=1e-10)


def test_the_finer_slice_holds_no_more_of_kspace_than_the_coarse_one():
    image = np.random.default_rng(0).random((24, 31))
    rows, columns = FourierGrid(24, 60), FourierGrid(31, 62)
    fine = apply_to_slice(image, rows.refine, columns.refine)
    assert fine.shape == (60, 62)
    power = np.abs(np.fft.fft2(fine)) ** 2
    held = np.outer(np.abs(np.fft.fftfreq(60, 1 / 60)) <= 12, np.abs(np.fft.fftfreq(62, 1 / 62)) <= 15)
    assert power[~held].sum() < 1e-20 * power.sum()
    assert fine.mean() == pytest.approx(image.mean())


def test_a_grid_that_is_as_fine_changes_nothing():
    np.testing.assert_allclose(FourierGrid(12, 12).refine, np.eye(12), atol=1e-12)
