"""The picture of the noise power spectrum."""

from __future__ import annotations

import importlib
import json

import pytest


@pytest.fixture
def spectrum(monkeypatch):
    pytest.importorskip("matplotlib", reason="needs the extra report")
    return importlib.import_module("scripts.benchmarks.draw_spectrum")


def test_both_curves_are_drawn_with_their_deviation(spectrum):
    noise = {
        name: {"frequencies": [0.1, 0.2], "power": [9, power], "variance": 4 * power}
        for name, power in (("input", 9), ("restored", 1))
    }
    (axes,) = spectrum.draw(noise, "ct").axes
    assert [line.get_ydata()[1] for line in axes.lines] == [9, 1]
    assert [text.get_text() for text in axes.get_legend().texts] == [
        "degraded (simulated): deviation 6.0 HU",
        "restored: deviation 2.0 HU",
    ]


def test_a_file_without_ct_is_refused(spectrum, tmp_path):
    measured = tmp_path / "fidelity.json"
    measured.write_text(json.dumps({"pet": {"input": {"total": 0.1}, "restored": {"total": 0.0}}}))
    with pytest.raises(SystemExit, match="holds no CT scan"):
        spectrum.main([str(measured), "--picture", str(tmp_path / "picture.png")])
