import numpy as np
import pytest

from bundle.tat.kspace.support import estimate_support
from bundle.tat.simulation.mri import KSpaceCoverage, acquire, reduce_resolution
from tests.scans import blobs


def anatomy(seed: int, shape=(160, 128)) -> np.ndarray:
    """Sharp edges, fine texture and smooth shading, which fill k-space; the body reaches beyond one side."""
    generator = np.random.default_rng(seed)
    slice_ = np.zeros(shape)
    slice_[25:160, 20:108] = 800
    for _ in range(25):
        row, column = generator.integers(20, 150), generator.integers(20, 100)
        slice_[row : row + generator.integers(2, 30), column : column + generator.integers(2, 30)] *= generator.uniform(
            0.4, 1.5
        )
    texture = generator.normal(0, 30, shape)
    return np.abs(slice_ * (0.8 + 0.2 * blobs(shape, 0, 1, seed)) + (slice_ > 0) * texture)


SLICES = [anatomy(seed) for seed in range(5)]


def supports(**options):
    low = [acquire(image, seed=index, coverage=KSpaceCoverage(**options)) for index, image in enumerate(SLICES)]
    return estimate_support(low)


@pytest.mark.parametrize("kept", [(0.2, 0.3), (0.25, 0.25), (0.33, 0.5), (0.5, 0.67), (0.67, 0.8), (0.8, 0.4)])
def test_the_kept_part_of_each_axis_is_found(kept):
    found = supports(kept=kept)
    assert [axis.kept for axis in found] == pytest.approx(kept, abs=0.05)


@pytest.mark.parametrize("axis", [0, 1])
def test_an_axis_that_is_whole_is_told_from_one_that_is_not(axis):
    kept = [1.0, 1.0]
    kept[axis] = 0.5
    found = supports(kept=tuple(kept))
    assert found[axis].kept == pytest.approx(0.5, abs=0.05)
    assert found[1 - axis].kept == 1.0


@pytest.mark.parametrize(
    "options",
    [
        {"noise": 0.01},
        {"elliptical": True},
        {"partial_fourier": 0.7},
        {"edge_filter": "tukey", "edge_width": 0.2},
        {"edge_filter": "gaussian", "edge_width": 0.8},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_scanners_do_besides_does_not_hide_it(options):
    found = supports(kept=(0.5, 0.4), **options)
    assert [axis.kept for axis in found] == pytest.approx((0.5, 0.4), abs=0.08)


def test_whole_kspace_has_no_end():
    assert [axis.kept for axis in estimate_support(SLICES)] == [1.0, 1.0]


def test_unit_offset_and_rounding_do_not_matter():
    low = [reduce_resolution(image) for image in SLICES]
    plain, changed = estimate_support(low), estimate_support([np.round(3.7 * image + 500) for image in low])
    assert [axis.kept for axis in changed] == pytest.approx([axis.kept for axis in plain], abs=0.011)


def test_cutting_a_truncated_slice_does_not_hide_it():
    found = estimate_support([reduce_resolution(image)[9:-20, 11:-13] for image in SLICES])
    assert [axis.kept for axis in found] == pytest.approx((0.25, 0.25), abs=0.06)


def test_empty_slices_are_left_out():
    low = [reduce_resolution(image) for image in SLICES]
    assert estimate_support([*low, np.zeros((160, 128))]) == estimate_support(low)


@pytest.mark.parametrize(
    "image", [np.full((64, 64), 3.0), np.random.default_rng(0).random((48, 52))], ids=["flat", "small"]
)
def test_what_tells_nothing_is_not_determined(image):
    assert [axis.kept for axis in estimate_support([image])] == [None, None]
