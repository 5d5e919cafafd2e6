"""The tables of the ablation runs."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from bundle.tat.evaluation.table import write_csv
from tests.scripts.benchmarks.test_size_search import PROVENANCE

N_SLICES = 12


@pytest.fixture
def tabulate(monkeypatch):
    return importlib.import_module("scripts.benchmarks.tabulate_ablation")


def write_run(folder: Path, gains: dict[str, float]) -> None:
    """Scores of a finished run; slices differ in difficulty, and a little in what is gained on them."""
    scores = {"ssim": 0.9, "rmse": 1.0, "parameter": None, "unit": "u"}
    rows = [
        {"method": method, "modality": task, "case": task.lower(), "slice": index, "psnr": psnr, **scores, **PROVENANCE}
        for task, gain in gains.items()
        for index in range(N_SLICES)
        for method, psnr in (("input", 30.0 + index), ("restored", 30.0 + index + gain + 0.01 * (index % 3 - 1)))
    ]
    write_csv(folder / "eval" / "slices.csv", rows)
    (folder / "eval" / "summary.json").touch()


def test_gains_over_seeds_and_differences_go_into_the_page(tabulate, tmp_path):
    runs, page = tmp_path / "runs", tmp_path / "page.md"
    write_run(runs / "tat_0", {"CT": 4.0, "MRI": 1.0, "PET": 7.0})
    write_run(runs / "tat_1", {"CT": 5.0, "MRI": 1.0, "PET": 7.0})
    write_run(runs / "static_twin_0", {"CT": 4.0, "MRI": 1.25, "PET": 7.0})
    write_run(runs / "CT_alone_0", {"CT": 4.75})
    (runs / "tat_2").mkdir()  # not finished
    page.write_text("before\n<!-- ablation -->\n\n<!-- /ablation -->\nafter\n")
    tabulate.main([str(runs), "--document", str(page)])
    text = page.read_text()
    assert "| tat | 2 | +4.50 (+4.00 to +5.00) | +1.00 (+1.00 to +1.00) | +7.00 (+7.00 to +7.00) |" in text
    assert "| CT_alone | 1 | +4.75 | - | - |" in text
    (twin,) = (line for line in text.splitlines() if line.startswith("| static_twin |") and "[" in line)
    assert "| -0.50 [" in twin
    assert "| +0.25 [" in twin
    assert text.startswith("before\n")
    assert text.endswith("after\n")


def test_only_the_section_that_is_named_is_filled(tabulate, tmp_path):
    page = tmp_path / "page.md"
    write_run(tmp_path / "runs" / "tat_0", {"CT": 4.0})
    page.write_text("<!-- ablation -->\nfirst\n<!-- /ablation -->\n<!-- other -->\nsecond\n<!-- /other -->\n")
    tabulate.main([str(tmp_path / "runs"), "--document", str(page), "--section", "other"])
    text = page.read_text()
    assert text.startswith("<!-- ablation -->\nfirst\n<!-- /ablation -->\n<!-- other -->\n| run |")
    assert "second" not in text


def test_without_the_reference_there_is_nothing_to_compare_with(tabulate, tmp_path, capsys):
    write_run(tmp_path / "static_twin_0", {"CT": 4.0})
    with pytest.raises(SystemExit):
        tabulate.main([str(tmp_path)])
    assert "holds no finished run of tat" in capsys.readouterr().err
