"""The calibration belongs to one file of weights."""

import json
import logging
from dataclasses import asdict

import pytest

from bundle.tat.file_digest import file_sha256
from bundle.tat.modality import Modality
from bundle.tat.quality.calibration import FILE_NAME, NO_CALIBRATION, from_json, read_calibration
from bundle.tat.refusal import RefusedInputError
from tests.quality.helper import calibration
from tests.test_layout import ROOT

SHIPPED = ROOT / "models" / FILE_NAME


def content(weights_sha256) -> dict:
    one = calibration(weights_sha256)
    return {"weights_sha256": weights_sha256, "modalities": {"CT": asdict(one.modalities[Modality.CT])}}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    return path


def test_the_shipped_calibration_belongs_to_the_shipped_weights():
    """Weights that were trained anew need make calibrate, too."""
    told = json.loads(SHIPPED.read_text())["weights_sha256"]
    assert told == file_sha256(ROOT / "models" / "model.pt"), "run make calibrate"
    assert read_calibration(ROOT / "models" / "model.pt").modalities


def test_the_shipped_calibration_is_not_ignored():
    """Whoever clones the bundle gets its verdicts."""
    assert "!models/calibration.json" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_published_figures_are_those_of_the_shipped_calibration():
    grades = read_calibration(ROOT / "models" / "model.pt").modalities[Modality.CT].grades
    told = (ROOT / "docs" / "concepts" / "quality.md").read_text(encoding="utf-8")
    for grade in grades.values():
        assert f"| {grade.n_flagged} of {grade.n_harmful} (" in told
        assert f"| {grade.n_passed} of {grade.n_harmless} (" in told


def test_it_is_read_as_it_was_written(weights):
    told = content(file_sha256(weights))
    weights.with_name(FILE_NAME).write_text(json.dumps(told))
    assert read_calibration(weights) == from_json(told) == calibration(file_sha256(weights))


def test_that_of_other_weights_is_not_taken(weights, caplog):
    weights.with_name(FILE_NAME).write_text(json.dumps(content("1" * 64)))
    with caplog.at_level(logging.WARNING):
        assert read_calibration(weights) == NO_CALIBRATION
    assert "was made for other weights than model.pt: no verdict is given" in caplog.text


def test_without_one_there_is_none(weights, tmp_path):
    assert read_calibration(weights) == read_calibration(None) == NO_CALIBRATION
    assert read_calibration(tmp_path / "no" / "model.pt") == NO_CALIBRATION


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"weights_sha256": "1"}', '{"modalities": {"CT": {}}}'])
def test_one_that_cannot_be_understood_is_refused(weights, text):
    weights.with_name(FILE_NAME).write_text(text)
    with pytest.raises(RefusedInputError, match=r"calibration.json is no calibration \(.*\): make a new one"):
        read_calibration(weights)
