"""The measures of real noise on a drawn scan whose noise and edges are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from scripts.benchmarks.real_noise import distances_to_surface, measure, table

SIDES = (1.0, 1.0)
RADIUS = 50.0


def cylinder(noise: float, blur: float) -> np.ndarray:
    """A cylinder of muscle in air in three slices, ``(128, 128, 3)`` [HU]."""
    places = np.indices((128, 128)) - 63.5
    drawn = np.where(np.hypot(*places) < RADIUS, 50.0, -1000.0)
    random = np.random.default_rng(0).standard_normal((128, 128, 3))
    return (gaussian_filter(drawn, blur)[..., None] + noise * random).astype(np.float32)


def test_distances_are_those_from_the_surface():
    distances = distances_to_surface(cylinder(0.0, 1.0)[..., 0], SIDES)
    expected = RADIUS - np.hypot(*(np.indices((128, 128)) - 63.5))
    near = np.abs(expected) < 10
    assert np.abs(distances - expected)[near].max() < 0.6
    assert np.isinf(distances[0, 0])


def test_short_surfaces_are_left_out():
    image = np.full((64, 64), -1000.0, np.float32)
    image[30:34, 30:34] = 0.0
    assert np.isinf(distances_to_surface(image, SIDES)).all()


def test_noise_that_goes_and_edges_that_stay():
    found = measure("drawn", cylinder(20.0, 1.0), cylinder(5.0, 1.0), SIDES)
    assert found.noise == pytest.approx((20.0, 5.0), rel=0.1)
    assert found.rise[1] / found.rise[0] == pytest.approx(1.0, abs=0.1)
    assert found.edge_ratio == pytest.approx(1.0, abs=0.15)
    assert "| 75% |" in table([found])
    assert abs(found.shifts["soft tissue"]) < 1.0


def test_blurred_edges_are_seen():
    found = measure("drawn", cylinder(20.0, 1.0), cylinder(5.0, 2.0), SIDES)
    assert found.rise[1] / found.rise[0] > 1.5
    assert found.edge_ratio > 1.4
