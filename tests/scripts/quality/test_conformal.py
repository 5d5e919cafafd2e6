"""Intervals of the error against a kept library, and against what they claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bundle.tat.modality import Modality
from bundle.tat.quality.calibration import Calibration, from_json
from bundle.tat.quality.error_interval import ErrorInterval
from bundle.tat.quality.measures import CaseMeasures
from bundle.tat.report.words import measured_lines
from scripts.quality.calibrate import rounded
from scripts.quality.cases import KnownCase
from scripts.quality.conformal import LEVEL, conformal_quantile, fit_interval
from scripts.quality.measured import MeasuredCase
from tests.quality.helper import one_slice

EMPTY = np.zeros((0, 0), np.float32)


def case(noise: float, subject: str, seed: int) -> MeasuredCase:
    """A case whose errors are a third of its noise."""
    measures = CaseMeasures(Modality.CT, 1, (one_slice(noise_before=noise, noise_after=noise / 4),))
    known = KnownCase(f"noise{noise}", "drawn", Modality.CT, subject, EMPTY, EMPTY, 1.0)
    errors = np.abs(np.random.default_rng(seed).standard_normal(500)) * noise / 3
    return MeasuredCase(known, measures, EMPTY, 1.0, 1.0, (1.0, 1.0), errors)


def cases(*subjects: str) -> list[MeasuredCase]:
    return [case(noise, who, index) for index, who in enumerate(subjects) for noise in (4.0, 8.0, 16.0, 32.0)]


@pytest.mark.integration
def test_the_quantile_is_that_of_crepes():
    crepes = pytest.importorskip("crepes", reason="crepes is not installed: make test-integration installs it")
    scores = np.random.default_rng(0).exponential(size=204)
    sigmas = np.full(204, 2.0)
    regressor = crepes.ConformalRegressor().fit(residuals=scores * sigmas, sigmas=sigmas)
    (low, high), *_ = regressor.predict_int(np.zeros(1), sigmas=np.array([3.0]), confidence=LEVEL)
    width = 3.0 * conformal_quantile(scores, LEVEL)
    assert (low, high) == pytest.approx((-width, width))


def test_too_few_scores_cover_nothing_for_certain():
    assert conformal_quantile(np.ones(3), LEVEL) == np.inf


def test_an_interval_follows_the_noise_and_holds_where_cases_are_alike():
    interval = fit_interval(cases("a", "b", "c", "d"), cases("e", "f"))
    assert interval is not None
    assert interval.coverage == pytest.approx((LEVEL, LEVEL), abs=0.06)
    assert interval.holds
    widths = [interval.half_width(case(noise, "x", 9).measures) for noise in (8.0, 16.0)]
    assert widths == pytest.approx([8.0 / 3 * 1.645, 16.0 / 3 * 1.645], rel=0.15)


def test_an_interval_that_the_test_contradicts_is_not_shown():
    lying = [replace(one, errors=4 * one.errors) for one in cases("e")]
    interval = fit_interval(cases("a", "b"), [*cases("f"), *lying])
    assert interval is not None
    assert not interval.holds
    assert interval.coverage[1] < 0.5
    measures = case(8.0, "x", 0).measures
    names = [line.name for line in measured_lines(measures, None, interval)]
    assert "Error of a pixel" not in names


def test_one_person_is_too_few():
    assert fit_interval(cases("a"), cases("b")) is None


def test_an_interval_that_holds_is_told_with_its_unit():
    interval = ErrorInterval((1.0, 0.0, 0.0, 0.0), 0.0, 0.5, 0.9, (0.91, 0.85), 12)
    line = next(
        line for line in measured_lines(case(8.0, "x", 0).measures, None, interval) if line.name == "Error of a pixel"
    )
    assert line.value == "± 4.00 HU"


def test_an_interval_comes_back_from_its_file():
    interval = ErrorInterval((1.0, 0.5, 0.0, 0.25), 0.125, 1.5, 0.9, (0.9, 0.75), 12)
    entry = rounded(vars(interval))
    read = from_json({"weights_sha256": "", "modalities": {}, "errors": {"CT": entry}})
    assert read == Calibration("", {}, {Modality.CT: interval})
