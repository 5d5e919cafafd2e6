"""The tables of pairs made of real scans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundle.tat.evaluation.table import write_csv
from scripts.benchmarks import real_scans
from scripts.data.parts import TEST
from scripts.data.real.parts import REAL_PARTS
from tests.scripts.benchmarks.test_size_search import PROVENANCE

METHODS = {"input": 30.0, "gaussian": 31.0, "gaussian_3d": 32.0}


def write_scores(path: Path, gains: dict[str, float]) -> None:
    """Every pair for testing, restored better than its input by what its person gains."""
    rows = []
    for part in (part for part in REAL_PARTS if part.split == TEST):
        case = Path(part.path("low")).name.removesuffix(".nii.gz")
        scores = METHODS | {"restored": 30.0 + gains.get(part.subject, 4.0)}
        rows += [
            {"method": method, "modality": part.modality.value, "case": case, "slice": index, "psnr": psnr}
            | {"ssim": psnr / 100, "rmse": 1.0, "parameter": None, "unit": "u", **PROVENANCE}
            for method, psnr in scores.items()
            for index in range(2)
        ]
    write_csv(path, rows)


def test_each_condition_has_its_gains_and_each_person_a_column(tmp_path, capsys):
    slices, page, out = tmp_path / "slices.csv", tmp_path / "page.md", tmp_path / "real.json"
    page.write_text("before\n<!-- real -->\n\n<!-- /real -->\n")
    write_scores(slices, {"sts_017": -1.0})
    real_scans.main([str(slices), "--page", str(page), "--out", str(out)])
    text = page.read_text()
    assert text == f"before\n<!-- real -->\n{capsys.readouterr().out}\n<!-- /real -->\n"
    assert text.index("of 8 HU") < text.index("of 16 HU") < text.index("of 32 HU")
    figures = json.loads(out.read_text())
    sharp = figures["CT, sharp noise of 8 HU"]
    assert sharp["least"] == pytest.approx(-1.0)
    assert sharp["persons"] == pytest.approx({"lung1": 4.0, "sts_016": 4.0, "sts_017": -1.0, "sts_018": 4.0})
    assert sharp["over_input"] - sharp["over_gaussian"] == pytest.approx(2.0)
    assert sharp["over_input_ssim"] - sharp["over_gaussian_ssim"] == pytest.approx(0.02)


def test_every_condition_of_the_test_pairs_has_a_row(tmp_path):
    names = {real_scans.condition(part) for part in REAL_PARTS if part.split == TEST}
    assert len(names) == 4 * 3 + 2 + 2 * 3
    assert not any("simulated low dose" in name for name in names)
