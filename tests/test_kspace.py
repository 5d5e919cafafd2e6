import numpy as np
import pytest

from bundle.tat.kspace import power_beyond
from bundle.tat.simulation.mri import reduce_resolution


@pytest.fixture
def clean():
    """A slice of sharp edges and fine texture, which fills k-space; it reaches beyond one side of the image."""
    generator = np.random.default_rng(0)
    slice_ = np.zeros((128, 96))
    slice_[20:128, 15:80] = 800
    slice_[40:70, 30:60] = 300
    return slice_ + (slice_ > 0) * generator.normal(0, 40, slice_.shape)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_truncation_shows(clean, factor):
    truncated = reduce_resolution(np.abs(clean), factor=factor)
    assert power_beyond(truncated, factor=factor) < 0.01
    assert power_beyond(clean, factor=factor) > 0.1


def test_a_weaker_truncation_is_told_from_a_stronger(clean):
    assert power_beyond(reduce_resolution(np.abs(clean), factor=2), factor=4) > 0.1


def test_cutting_a_truncated_slice_does_not_hide_it(clean):
    assert power_beyond(reduce_resolution(np.abs(clean))[9:-20, 11:-13]) < 0.01


def test_unit_and_offset_do_not_matter(clean):
    assert power_beyond(3.7 * clean + 500) == pytest.approx(power_beyond(clean))


@pytest.mark.parametrize(
    "image", [np.full((64, 64), 3.0), np.random.default_rng(0).random((16, 16))], ids=["flat", "small"]
)
def test_what_tells_nothing_is_no_number(image):
    assert np.isnan(power_beyond(image))
