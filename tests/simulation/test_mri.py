import numpy as np
import pytest

from bundle.tat.kspace import crop_kspace, truncate_kspace, zero_fill
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.mri import KSpaceCoverage, acquire, kspace_window, reduce_resolution
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
        (np.zeros((4, 5, 6)), "at a time"),
        (np.zeros(5), "at a time"),
        (np.zeros((0, 8)), "at a time"),
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


@pytest.mark.parametrize("n_kept", [(53, 38), (13, 9), (20, 1)])
def test_any_centred_part_is_cropped(image, n_kept):
    kept = crop_kspace(image, n_kept)
    assert kept.shape == n_kept
    np.testing.assert_array_equal(crop_kspace(image, image.shape)[26 - n_kept[0] // 2, 19 - n_kept[1] // 2], kept[0, 0])
    np.testing.assert_array_equal(crop_kspace(image, (13, 9)), truncate_kspace(image))


@pytest.mark.parametrize("n_kept", [(0, 9), (54, 9)])
def test_refuses_more_lines_than_there_are(image, n_kept):
    with pytest.raises(RefusedInputError, match="pass at least 1 and at most its sides"):
        crop_kspace(image, n_kept)


def test_refuses_samples_that_do_not_fit():
    with pytest.raises(RefusedInputError, match=r"pass samples of shape \(8, 8\)"):
        zero_fill(np.zeros((9, 8), dtype=np.complex64), (32, 32))


@pytest.mark.parametrize("shape", [(64, 48), (52, 40)])
def test_a_quarter_of_each_axis_is_the_protocol_of_the_paper(shape):
    image = np.random.default_rng(1).uniform(0, 900, shape)
    np.testing.assert_allclose(acquire(image, seed=0, coverage=KSpaceCoverage()), reduce_resolution(image), rtol=1e-5)


@pytest.mark.parametrize("shape", [(64, 48), (53, 38), (31, 40)])
@pytest.mark.parametrize("kept", [(0.2, 0.8), (0.5, 0.33), (1.0, 0.61)])
def test_the_window_covers_the_kept_lines_around_zero(shape, kept):
    window = kspace_window(shape, KSpaceCoverage(kept=kept))
    assert set(np.unique(window)) <= {0.0, 1.0}
    for axis, (share, size) in enumerate(zip(kept, shape, strict=True)):
        lines = np.flatnonzero(window.any(axis=1 - axis))
        assert len(lines) == round(share * size)
        # Centred: of an even number, the lowest frequency has no mirror image.
        assert lines[0] + lines[-1] - 2 * (size // 2) == (-1 if len(lines) % 2 == 0 else 0)


def test_partial_fourier_leaves_lines_out_at_one_end():
    whole = kspace_window((40, 40), KSpaceCoverage(kept=(0.5, 0.5)))
    part = kspace_window((40, 40), KSpaceCoverage(kept=(0.5, 0.5), partial_fourier=0.75))
    missing = np.flatnonzero(whole.any(axis=0) & ~part.any(axis=0))
    assert missing.tolist() == [10, 11, 12, 13, 14]


def test_the_corners_go_and_the_ends_of_the_axes_stay():
    window = kspace_window((41, 41), KSpaceCoverage(kept=(0.5, 0.5), elliptical=True))
    square = kspace_window((41, 41), KSpaceCoverage(kept=(0.5, 0.5)))
    assert window[20].sum() == square[20].sum()
    assert window.sum() / square.sum() == pytest.approx(np.pi / 4, abs=0.06)
    assert window[square > 0][0] == 0


@pytest.mark.parametrize(("edge_filter", "at_the_end"), [("tukey", 0.0), ("gaussian", np.exp(-2 * 0.6**2))])
def test_edge_filters_fall_from_the_centre_outwards(edge_filter, at_the_end):
    coverage = KSpaceCoverage(kept=(1.0, 1.0), edge_filter=edge_filter, edge_width=0.6)
    profile = kspace_window((64, 64), coverage)[32, 32:]
    assert profile[0] == 1.0
    assert np.all(np.diff(profile) <= 1e-6)
    assert profile[-1] == pytest.approx(at_the_end, abs=0.05)


def test_the_noise_of_a_magnitude_is_rician():
    """In air its mean is sqrt(pi / 2) of the deviation of either part, not 0."""
    image = np.zeros((96, 96))
    image[40:56, 40:56] = 1000.0
    low = acquire(image, seed=4, coverage=KSpaceCoverage(kept=(1.0, 1.0), noise=0.02))
    air = low[:30, :30]
    assert air.mean() == pytest.approx(20 * np.sqrt(np.pi / 2), rel=0.05)
    assert air.std() == pytest.approx(20 * np.sqrt(2 - np.pi / 2), rel=0.1)
    assert low[42:54, 42:54].std() == pytest.approx(20, rel=0.15)


def test_the_noise_follows_the_seed(image):
    noisy = KSpaceCoverage(kept=(0.4, 0.6), noise=0.02)
    one, again, other = (acquire(image, seed=seed, coverage=noisy) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0


@pytest.mark.parametrize(
    "options",
    [
        {"kept": (0.0, 0.5)},
        {"kept": (0.5, 1.1)},
        {"partial_fourier": 0.5},
        {"edge_filter": "hamming"},
        {"edge_width": 0.0},
        {"noise": -0.1},
    ],
    ids=str,
)
def test_coverage_outside_its_bounds_is_refused(options):
    with pytest.raises(RefusedInputError, match=f"{next(iter(options))} is "):
        KSpaceCoverage(**options)
