"""The statistics of the calibration, against values that are known otherwise."""

import numpy as np
import pytest
import torch

from bundle.tat.networks import TAT
from scripts.quality.calibrate import read_network
from scripts.quality.fit import area_under_curve, exact_interval, fit_logistic, grade


def test_an_exact_interval_is_that_of_the_beta_distribution():
    # Without a failure the lower bound is the n-th root of 0.025.
    assert exact_interval(10, 10) == pytest.approx((0.025 ** (1 / 10), 1.0))
    assert exact_interval(0, 10) == pytest.approx((0.0, 1.0 - 0.025 ** (1 / 10)))
    assert exact_interval(0, 0) == (0.0, 1.0)


def test_the_area_counts_ties_by_half():
    chances = np.array([0.1, 0.5, 0.5, 0.9])
    assert area_under_curve(chances, np.array([False, False, True, True])) == pytest.approx(3.5 / 4)
    assert area_under_curve(chances, np.zeros(4, bool)) is None


def test_a_fit_finds_the_chances_that_cases_were_drawn_with():
    random = np.random.default_rng(0)
    values = random.normal(3.0, 2.0, 20_000)
    outcome = random.uniform(size=values.size) < 1.0 / (1.0 + np.exp(-(1.5 * values - 4.0)))
    model = fit_logistic([{"noise": value} for value in values], outcome, ("noise",))
    for value in (0.0, 2.0, 4.0):
        assert model.log_odds({"noise": value}) == pytest.approx(1.5 * value - 4.0, abs=0.15)


def test_the_ridge_bounds_a_fit_of_cases_that_are_told_apart_without_error():
    values = [-2.0, -1.0, 1.0, 2.0]
    model = fit_logistic([{"blur": value} for value in values], np.array(values) > 0, ("blur",))
    assert 0.5 < model.chance({"blur": 1.0}) < 0.99


def test_a_feature_that_no_case_has_tells_nothing():
    features = [{"blur": value, "kspace_change": None} for value in (-1.0, 1.0, -2.0, 2.0)]
    model = fit_logistic(features, np.array([False, True, False, True]), ("blur", "kspace_change"))
    assert model.chance({"blur": 0.5, "kspace_change": 7.0}) == pytest.approx(model.chance({"blur": 0.5}))


def test_a_grade_counts_each_kind_by_itself():
    flagged = np.array([True, True, False, True, False, False])
    harmful = np.array([True, True, True, False, False, False])
    told = grade(flagged, harmful, ~harmful, None)
    assert (told.n_harmful, told.n_flagged, told.n_harmless, told.n_passed) == (3, 2, 3, 2)


def test_weights_that_take_neighbouring_slices_are_not_calibrated_on_single_ones(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(TAT(in_channels=3, out_channels=1, dim=8, num_blocks=(1, 1, 1, 1)).state_dict(), path)
    with pytest.raises(SystemExit, match="take 3 slices together, but a benchmark case is one slice"):
        read_network(path)
