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


def write_scores(path: Path, gains: dict[str, float], of_cases: dict[str, float] | None = None) -> None:
    """Every pair for testing, restored better than its input by what its person or its case gains."""
    rows = []
    for part in (part for part in REAL_PARTS if part.split == TEST):
        case = Path(part.path("low")).name.removesuffix(".nii.gz")
        of_case = [gain for name, gain in (of_cases or {}).items() if name in case]
        scores = METHODS | {"restored": 30.0 + (of_case or [gains.get(part.subject, 4.0)])[0]}
        rows += [
            {"method": method, "modality": part.modality.value, "case": case, "slice": index, "psnr": psnr}
            | {"ssim": psnr / 100, "rmse": 1.0, "parameter": None, "unit": "u", **PROVENANCE}
            for method, psnr in scores.items()
            for index in range(2)
        ]
    write_csv(path, rows)


def test_each_condition_has_its_gains_and_each_person_a_column(tmp_path, capsys):
    slices, page, out = tmp_path / "slices.csv", tmp_path / "page.md", tmp_path / "real.json"
    marks = "<!-- real_ranges -->\n\n<!-- /real_ranges -->\n"
    page.write_text(f"before\n<!-- real -->\n\n<!-- /real -->\n{marks}")
    write_scores(slices, {"sts_017": -1.0})
    real_scans.main([str(slices), "--page", str(page), "--out", str(out)])
    text = page.read_text()
    assert text.startswith(f"before\n<!-- real -->\n{capsys.readouterr().out}\n<!-- /real -->\n")
    assert text.index("of 8 HU") < text.index("of 16 HU") < text.index("of 32 HU")
    figures = json.loads(out.read_text())
    sharp = figures["CT, sharp noise of 8 HU"]
    assert sharp["least"] == pytest.approx(-1.0)
    assert sharp["persons"] == pytest.approx({"lung1": 4.0, "sts_016": 4.0, "sts_017": -1.0, "sts_018": 4.0})
    assert sharp["over_input"] - sharp["over_gaussian"] == pytest.approx(2.0)
    assert sharp["over_input_ssim"] - sharp["over_gaussian_ssim"] == pytest.approx(0.02)


def test_the_card_has_the_lowest_and_the_highest_gain_of_each_strength(tmp_path):
    slices, page, card = tmp_path / "slices.csv", tmp_path / "page.md", tmp_path / "card.md"
    page.write_text("<!-- real -->\n\n<!-- /real -->\n")
    card.write_text("<!-- real_ranges -->\n\n<!-- /real_ranges -->\n")
    write_scores(slices, {"scan_001": 1.0}, {"_pet_axial": 0.5})
    real_scans.main([str(slices), "--page", str(page), str(card), "--out", str(tmp_path / "real.json")])
    rows = [line.strip("| ").split(" | ") for line in card.read_text().splitlines() if line.startswith("| ")][2:]
    assert rows == [
        ["CT, noise of 8 HU", "40", "+4.00", "+2.00", "+4.00"],
        ["CT, noise of 16 HU", "40", "+4.00", "+2.00", "+4.00"],
        ["CT, noise of 32 HU", "40", "+4.00", "+2.00", "+4.00"],
        ["MRI, 25% x 25% of k-space", "4", "+3.25", "+1.25", "+1.00"],
        ["MRI, 50% x 50% of k-space", "3", "+4.00", "+2.00", "+4.00"],
        ["PET, noise correlated over 4 mm", "9", "+0.50 to +4.00", "-1.50 to +2.00", "+0.50"],
        ["PET, noise correlated over 8 mm", "9", "+0.50 to +4.00", "-1.50 to +2.00", "+0.50"],
    ]


def test_every_condition_of_the_test_pairs_has_a_row(tmp_path):
    names = {real_scans.condition(part) for part in REAL_PARTS if part.split == TEST}
    assert len(names) == 4 * 3 + 2 + 2 * 3
    assert not any("simulated low dose" in name for name in names)
