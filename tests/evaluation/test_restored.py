"""Scoring restored files: against direct calls, and against an evaluation that is handed the same volumes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from bundle.tat.evaluation.baseline_filters import gaussian
from bundle.tat.evaluation.report import EvaluationReport
from bundle.tat.evaluation.restored import score_restored
from bundle.tat.metrics import evaluate_volume
from bundle.tat.refusal import RefusedInputError

AFFINE = np.diag([-2.0, -2.0, 5.0, 1.0])
SCALES = {"CT": 300.0, "MRI": 900.0, "PET": 9.0}
UNITS = {"CT": "HU", "MRI": "a.u.", "PET": "SUV"}
SCORES = {"psnr": ("PSNR [dB]", 2, 1), "ssim": ("SSIM", 4, 1), "rmse": ("RMSE", 3, -1)}  # digits, sign of a gain

Arrays = dict[str, dict[str, np.ndarray]]


def write(path: Path, volume: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume, affine), path)


def add_case(folder: Path, name: str, modality: str, volumes: dict[str, np.ndarray]) -> dict[str, str]:
    """Write a scan, its restoration and its clean image; returns the entry of the datalist."""
    write(folder / f"{name}.nii.gz", volumes["input"])
    write(folder / f"{name}_full.nii.gz", volumes["label"])
    write(folder / "out" / name / f"{name}_restored.nii.gz", volumes["restored"])
    return {"image": f"{name}.nii.gz", "label": f"{name}_full.nii.gz", "modality": modality, "subject": name}


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, Arrays]:
    """A datalist with two CT scans around one of MRI and one of PET, and the arrays behind it."""
    generator, entries, arrays = np.random.default_rng(0), [], {}
    for number, modality in enumerate(("CT", "MRI", "PET", "CT")):
        scale = SCALES[modality]
        label = (scale * generator.random((21, 18, 4 + number))).astype(np.float32)
        label[:, :, 0] = 0.0  # a slice that cannot be scored
        noise = (0.1 * scale * generator.standard_normal(label.shape)).astype(np.float32)
        name = f"{modality.lower()}{number}_low"
        arrays[name] = {"input": label + noise, "restored": label + 0.5 * noise, "label": label}
        entries.append(add_case(tmp_path, name, modality, arrays[name]))
    (tmp_path / "datalist.json").write_text(json.dumps({"testing": entries}))
    return tmp_path, arrays


def add_air(folder: Path, arrays: Arrays, name: str = "air", modality: str = "CT") -> None:
    """A case of constant slices, ahead of the others."""
    air = np.full((21, 18, 3), -1000.0, dtype=np.float32)
    arrays[name] = {"input": air + 1, "restored": air, "label": air}
    entry = add_case(folder, name, modality, arrays[name])
    entries = json.loads((folder / "datalist.json").read_text())["testing"]
    (folder / "datalist.json").write_text(json.dumps({"testing": [entry, *entries]}))


def score(folder: Path, **more: Any) -> tuple[str, list[dict[str, str]]]:
    """The text, and the rows of the table."""
    table = folder / "tables" / "scores.csv"
    text = score_restored(folder / "datalist.json", folder / "out", table, **more)
    assert list(table.parent.iterdir()) == [table]
    return text, rows(table)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def evaluate(folder: Path) -> Path:
    """Hand the same volumes to an evaluation, as a network that has just restored them; the folder of its files."""
    volumes = []
    for entry in json.loads((folder / "datalist.json").read_text())["testing"]:
        name = entry["image"].removesuffix(".nii.gz")
        paths = {"image": entry["image"], "label": entry["label"], "pred": f"out/{name}/{name}_restored.nii.gz"}
        images: dict[str, Any] = {}
        for key, path in paths.items():
            array = nibabel.load(folder / path).get_fdata(dtype=np.float32)
            meta = {"filename_or_obj": str(folder / entry["image"])}
            images[key] = MetaTensor(torch.from_numpy(array)[None], meta=meta)
        volumes.append({**images, "modality": entry["modality"], "subject": entry["subject"]})

    def step(engine: Engine, one: dict[str, Any]) -> list[dict[str, Any]]:
        engine.state.batch = [{key: one[key] for key in ("modality", "subject")}]
        return [{key: one[key] for key in ("image", "label", "pred")}]

    (folder / "model.pt").write_bytes(b"weights")
    engine = Engine(step)
    report = EvaluationReport(str(folder / "eval"), str(folder / "model.pt"), datalist_file="datalist.json")
    report.attach(engine)
    engine.run(volumes)
    return folder / "eval"


def test_the_table_holds_what_direct_calls_give(dataset):
    folder, arrays = dataset
    _, table = score(folder)
    assert [(row["case"], row["method"]) for row in table] == [
        (case, method)
        for case in ("ct0_low", "ct3_low", "mri1_low", "pet2_low")
        for method in ("input", "gaussian", "restored")
    ]
    for row in table:
        case = arrays[row["case"]]
        pred = gaussian(case["input"], float(row["sigma"])) if row["sigma"] else case[row["method"]]
        expected = evaluate_volume(torch.from_numpy(pred), torch.from_numpy(case["label"]), row["modality"])
        assert {name: float(row[name]) for name in SCORES} == {name: getattr(expected, name) for name in SCORES}
        assert (row["n_slices"], row["n_constant"]) == (str(case["label"].shape[2] - 1), "1")
        assert row["unit"] == UNITS[row["modality"]]
        assert bool(row["sigma"]) == (row["method"] == "gaussian")


def test_files_and_an_evaluation_score_alike_to_the_last_digit(dataset):
    folder, arrays = dataset
    add_air(folder, arrays)
    text, table = score(folder)
    evaluated = evaluate(folder)
    by_case = {(row["modality"], row["case"], row["method"]): row for row in rows(evaluated / "cases.csv")}
    assert len(by_case) == len(table) == 4 * 3 + 2
    for row in table:
        other = by_case[row["modality"], row["case"], row["method"]]
        assert row.pop("sigma") == other["parameter"]
        assert row == {name: other[name] for name in row}
    tasks = json.loads((evaluated / "summary.json").read_text())["tasks"]
    lines = iter(text.splitlines())
    for task in SCALES:
        counts = tasks[task]
        head = (
            f"{task}: {counts['n_slices']} slices in {counts['n_cases']} scans, {counts['n_constant']} more not scored"
        )
        assert next(line for line in lines if line.startswith(f"{task}: ")) == f"{head} (constant label)"
        next(lines)
        of_input = {name: counts["methods"]["input"]["slices"][name]["mean"] for name in SCORES}
        for method in ("input", "gaussian", "restored"):
            found = counts["methods"][method]
            name = method if found["parameter"] is None else f"{method} {found['parameter']:g} px"
            cells = []
            for score_name, (_, digits, sign) in SCORES.items():
                mean = found["slices"][score_name]["mean"]
                cells += [f"{mean:.{digits}f}", f"{sign * mean - sign * of_input[score_name]:+.{digits}f}"]
            assert next(lines).split() == [*name.split(), *cells]


def test_a_case_of_constant_slices_is_counted_and_named(dataset):
    folder, arrays = dataset
    _, without = score(folder)
    add_air(folder, arrays)
    text, table = score(folder)
    assert [row for row in table if row["case"] != "air"] == without
    empty = dict.fromkeys((*SCORES, "sigma"), "")
    head = {"modality": "CT", "case": "air", "unit": "HU", "n_slices": "0", "n_constant": "3", "mri_scale": "fixed"}
    assert table[:2] == [{**head, **empty, "method": method} for method in ("input", "restored")]
    assert text.splitlines()[1] == "CT: 9 slices in 2 scans, 5 more not scored (constant label)"
    assert "scans without a score (constant label in every slice): 1, air" in text.splitlines()


@pytest.mark.parametrize("factor", [1 / 1400, 20.0])
def test_mri_in_another_unit_is_refused_or_scored_as_in_its_own(dataset, factor):
    folder, arrays = dataset
    _, native = score(folder, mri_scale="percentile")
    add_case(folder, "mri1_low", "MRI", {role: volume * factor for role, volume in arrays["mri1_low"].items()})
    with pytest.raises(RefusedInputError, match=r"mri1_low\.nii\.gz, or its label: .*pass --mri_scale percentile"):
        score(folder)
    _, other = score(folder, mri_scale="percentile")
    for row, expected in zip(other, native, strict=True):
        assert row["mri_scale"] == "percentile"
        for name in SCORES:
            assert float(row[name]) == pytest.approx(float(expected[name]), rel=1e-4)


def test_a_modality_of_constant_slices_alone_has_no_means(dataset):
    folder, arrays = dataset
    kept = json.loads((folder / "datalist.json").read_text())["testing"][1:2]
    (folder / "datalist.json").write_text(json.dumps({"testing": kept}))
    add_air(folder, arrays)
    lines = score(folder)[0].splitlines()
    assert lines[1:3] == ["CT: 0 slices in 0 scans, 3 more not scored (constant label)", ""]
    assert lines[3].startswith("MRI: 4 slices in 1 scans")


def test_nothing_to_score_is_refused(dataset):
    folder, arrays = dataset
    (folder / "datalist.json").write_text(json.dumps({"testing": []}))
    add_air(folder, arrays)
    with pytest.raises(RefusedInputError, match="every slice of all 1 cases has a constant label"):
        score(folder)
    assert not (folder / "tables").exists()


def test_another_grid_is_refused(dataset):
    folder, arrays = dataset
    moved = AFFINE.copy()
    moved[2, 3] = 5.0
    write(folder / "out" / "pet2_low" / "pet2_low_restored.nii.gz", arrays["pet2_low"]["restored"], moved)
    with pytest.raises(RefusedInputError, match=r"pet2_low_restored.nii.gz .* is not on the grid of .*pet2_low.nii.gz"):
        score(folder)
    assert not (folder / "tables").exists()
