"""The MRI phantom: what is measured on images that are known."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from scipy import ndimage

from bundle.tat.simulation.mri import KSpaceCoverage, acquire


@pytest.fixture(scope="module")
def phantom():
    return importlib.import_module("scripts.benchmarks.mri.phantom")


@pytest.fixture(scope="module")
def clean(phantom):
    return phantom.draw_phantom()


def test_what_was_drawn_is_found(phantom, clean):
    found = phantom.measure(clean[..., None])
    assert found["overshoot"] < 0.01
    assert found["rise"] < 1.0
    assert list(found["faint"].values()) == pytest.approx([1.0] * len(phantom.FAINT), abs=1e-3)
    holes = list(found["holes"].values())
    assert holes[0] == pytest.approx(1.0, abs=0.01)
    assert holes == sorted(holes, reverse=True)


def test_truncation_rings_and_hides_the_holes_below_its_resolution(phantom, clean):
    half = phantom.measure(acquire(clean, seed=0, coverage=KSpaceCoverage(kept=(0.5, 0.5)))[..., None])
    assert 0.05 < half["overshoot"] < 0.1
    # The cutoff is half of the Nyquist frequency.
    assert half["mtf50"] == pytest.approx(0.25 / phantom.PIXEL, rel=0.1)
    assert half["holes"]["3"] > 0.8
    assert half["holes"]["1.5"] < 0.1


def test_blur_shows_as_a_longer_rise_without_ringing(phantom, clean):
    blurred = phantom.measure(ndimage.gaussian_filter(clean, 1.5)[..., None])
    assert blurred["rise"] == pytest.approx(2.563 * 1.5 * phantom.PIXEL, rel=0.1)
    assert blurred["overshoot"] < 0.01
    assert blurred["faint"]["5 %, 3 mm"] < 0.9


def test_nothing_lies_over_anything_else(phantom, clean):
    """Every intensity that was drawn is there, and the cylinder's rim is free."""
    distance = phantom.distance_to(phantom.Disc(0, 0, phantom.RADIUS, 1.0))
    rim = (distance > -6) & (distance < -2)
    assert set(np.unique(clean[rim])) == {np.float32(phantom.WATER)}
    for disc in (phantom.EDGE, *phantom.FAINT):
        centre = phantom.distance_to(disc) < -0.6 * disc.radius
        np.testing.assert_allclose(clean[centre], phantom.WATER * disc.relative, rtol=1e-3)
