"""The scoring and drawing scripts on tiny scans, checked against direct calls."""

from __future__ import annotations

import csv
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest
import torch

from bundle.tat.evaluation.gaussian import gaussian_baseline
from bundle.tat.metrics import evaluate_volume

AFFINE = np.diag([-2.0, -2.0, 5.0, 1.0])
SCALES = {"CT": 300.0, "MRI": 900.0, "PET": 9.0}


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


def write(path: Path, volume: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume, affine), path)


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, dict[str, dict[str, np.ndarray]]]:
    """A datalist with one scan a modality, and the arrays behind it."""
    generator, entries, arrays = np.random.default_rng(0), [], {}
    for modality, scale in SCALES.items():
        label = (scale * generator.random((21, 18, 4))).astype(np.float32)
        label[:, :, 0] = 0.0  # a slice that cannot be scored
        noise = (0.1 * scale * generator.standard_normal(label.shape)).astype(np.float32)
        name = f"{modality.lower()}_low"
        arrays[name] = {"input": label + noise, "restored": label + 0.5 * noise, "label": label}
        write(tmp_path / f"{name}.nii.gz", arrays[name]["input"])
        write(tmp_path / f"{modality.lower()}_full.nii.gz", label)
        write(tmp_path / "out" / name / f"{name}_restored.nii.gz", arrays[name]["restored"])
        label_name = f"{modality.lower()}_full.nii.gz"
        entries.append({"image": f"{name}.nii.gz", "label": label_name, "modality": modality, "subject": name})
    (tmp_path / "datalist.json").write_text(json.dumps({"testing": entries}))
    return tmp_path, arrays


def arguments(folder: Path, *more: str) -> list[str]:
    return ["--datalist", str(folder / "datalist.json"), "--restored", str(folder / "out"), *more]


def test_the_table_holds_what_direct_calls_give(dataset, capsys):
    folder, arrays = dataset
    table = folder / "tables" / "scores.csv"
    script("scripts.score").main(arguments(folder, "--table", str(table)))
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["modality"], row["method"]) for row in rows] == [
        (modality, method) for modality in SCALES for method in ("input", "gaussian", "restored")
    ]
    for row in rows:
        case = arrays[row["case"]]
        pred = gaussian_baseline(case["input"], float(row["sigma"])) if row["sigma"] else case[row["method"]]
        expected = evaluate_volume(torch.from_numpy(pred), torch.from_numpy(case["label"]), row["modality"])
        for name in ("psnr", "ssim", "rmse"):
            assert float(row[name]) == pytest.approx(getattr(expected, name), rel=1e-9)
        assert (row["n_slices"], row["n_constant"]) == ("3", "1")
        assert row["unit"] == {"CT": "HU", "MRI": "a.u.", "PET": "SUV"}[row["modality"]]
    assert list(table.parent.iterdir()) == [table]
    printed = capsys.readouterr().out
    gain = float(rows[2]["psnr"]) - float(rows[0]["psnr"])
    assert f"restored{float(rows[2]['psnr']):21.2f}{gain:+9.2f}" in printed
    assert "CT: 3 slices in 1 scans, 1 more not scored (constant label)" in printed
    assert "oracle" in printed


def test_means_weigh_every_slice_the_same(dataset, capsys):
    folder, _ = dataset
    module = script("scripts.score")
    module.main(arguments(folder, "--table", str(folder / "scores.csv")))
    scores = module.compare_methods(module.read_cases(folder / "datalist.json", "testing", folder / "out"))
    rows = [row for row in scores if row.method == "input"]
    assert module.mean(rows, "psnr") == pytest.approx(np.mean([row.scores.psnr for row in rows]))


@pytest.mark.parametrize("name", ["scripts.score", "scripts.draw"])
def test_another_grid_is_refused_in_one_sentence(dataset, name):
    folder, arrays = dataset
    if name == "scripts.draw":
        pytest.importorskip("matplotlib", reason="needs the extra report")
    moved = AFFINE.copy()
    moved[2, 3] = 5.0
    write(folder / "out" / "pet_low" / "pet_low_restored.nii.gz", arrays["pet_low"]["restored"], moved)
    target = folder / "made"
    with pytest.raises(SystemExit, match=r"pet_low_restored.nii.gz .* is not on the grid of .*pet_low.nii.gz"):
        script(name).main(arguments(folder, "--table" if name == "scripts.score" else "--out", str(target)))
    assert not target.exists()


def test_one_picture_a_case_is_drawn(dataset, capsys):
    pytest.importorskip("matplotlib", reason="needs the extra report")
    folder, arrays = dataset
    script("scripts.draw").main(arguments(folder, "--out", str(folder / "pictures")))
    pictures = sorted((folder / "pictures").iterdir())
    assert [picture.name for picture in pictures] == sorted(f"{name}.png" for name in arrays)
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_drawing_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    for name in ("bundle.tat.visualize.slices", "scripts.draw"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SystemExit, match=r"needs matplotlib: pip install .*\[report\]"):
        script("scripts.draw")
