"""The handler on an engine that hands it volumes: what it writes, and when it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from bundle.tat.evaluation.report import EvaluationReport, gather
from bundle.tat.evaluation.table import read_slices
from bundle.tat.metrics import evaluate_volume
from bundle.tat.refusal import RefusedInputError

FILES = ["cases.csv", "slices.csv", "summary.json", "volumes.csv"]
SCALES = {"CT": 200.0, "MRI": 900.0, "PET": 9.0}


def volume(name: str, modality: str, seed: int, *, noise: float = 0.05, n_slices: int = 3) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    label = torch.rand(1, 17, 15, n_slices, generator=generator) * SCALES[modality]
    error = SCALES[modality] * torch.randn(label.shape, generator=generator)
    meta = {"filename_or_obj": f"/scans/{name}.nii.gz"}
    images = {"image": label + 0.1 * error, "label": label, "pred": label + noise * error}
    return {"modality": modality, **{key: MetaTensor(image, meta=meta) for key, image in images.items()}}


def run(folder: Path, volumes: list[dict[str, Any]], **options: Any) -> Path:
    """Evaluate, and return the folder of the results."""
    folder.mkdir(exist_ok=True)
    (folder / "model.pt").write_bytes(b"weights")

    def step(engine: Engine, one: dict[str, Any]) -> list[dict[str, Any]]:
        engine.state.batch = [{key: one[key] for key in ("modality", "subject") if key in one}]
        return [{key: one[key] for key in ("image", "label", "pred")}]

    engine = Engine(step)
    options.setdefault("baselines", [])
    EvaluationReport(
        str(folder / "out"), str(folder / "model.pt"), datalist_file="lists/of/someone/list.json", **options
    ).attach(engine)
    engine.run(volumes)
    return folder / "out"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_says_what_it_was_scored_by(tmp_path):
    out = run(tmp_path, [volume("a", "CT", 0), volume("b", "PET", 1)])
    assert sorted(path.name for path in out.iterdir()) == FILES
    summary = json.loads((out / "summary.json").read_text())
    origins = [rows(out / name)[0] for name in FILES if name.endswith(".csv")]
    for origin in (summary, *origins):
        assert origin["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
        assert (origin["datalist"], origin["section"]) == ("list.json", "testing")
        assert "max - min" in origin["data_range"]
        assert origin["bundle_version"]
    assert [origin["protocol"] for origin in (summary, *origins)] == [
        "tat-2d-v1",
        "tat-2d-v1",
        "tat-2d-v1",
        "tat-3d-v1",
    ]
    assert all("someone" not in (out / name).read_text() for name in FILES)


def test_the_order_of_the_cases_does_not_matter(tmp_path):
    volumes = [volume("b", "CT", 0), volume("c", "PET", 1), volume("a", "CT", 2)]
    one, two = run(tmp_path / "one", volumes), run(tmp_path / "two", volumes[::-1])
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in FILES)
    assert [(row["case"], row["method"]) for row in rows(one / "cases.csv")] == [
        (case, method) for case in "abc" for method in ("input", "restored")
    ]


def test_tasks_are_summarised_over_their_slices(tmp_path):
    volumes = [volume("a", "CT", 0), volume("b", "CT", 1, n_slices=5), volume("c", "PET", 2)]
    summary = json.loads((run(tmp_path, volumes, seed=4) / "summary.json").read_text())
    task = summary["tasks"]["CT"]
    assert (task["n_cases"], task["n_slices"], task["n_constant"], task["unit"]) == (2, 8, 0, "HU")
    assert task["statistics_over"] == "slices"
    scores = [evaluate_volume(one["pred"][0], one["label"][0], "CT").rmse for one in volumes[:2]]
    described = task["methods"]["restored"]["slices"]["rmse"]
    assert described["mean"] == pytest.approx((3 * scores[0] + 5 * scores[1]) / 8)
    assert described["interval"]["low"] < described["mean"] < described["interval"]["high"]
    against = task["restored_against"]["input"]["psnr"]
    assert against["mean_difference"] == pytest.approx(6.0, abs=0.5)  # half of the noise
    assert against["test"] == {"p": pytest.approx(2 / 2**8), "n_pairs": 8, "n_different": 8}
    assert task["methods"]["restored"]["volumes"]["psnr"]["interval"] is None  # of two volumes
    assert summary["statistics"]["seed"] == 4


def test_enough_cases_are_resampled_and_tested_as_cases(tmp_path):
    volumes = [volume(f"case{index}", "PET", index) for index in range(6)]
    task = json.loads((run(tmp_path, volumes) / "summary.json").read_text())["tasks"]["PET"]
    assert task["statistics_over"] == "cases"
    against = task["restored_against"]["input"]["ssim"]
    assert (against["unit"], against["test"]["n_pairs"]) == ("cases", 6)
    assert task["methods"]["input"]["volumes"]["psnr"]["interval"] is not None


def air(name: str, modality: str) -> dict[str, Any]:
    """A case that shows nothing to restore: every slice of its label is constant."""
    one = volume(name, modality, 0)
    return {**one, "label": one["label"] * 0 + 1}


def test_a_case_without_contrast_gets_a_row_and_stops_nothing(tmp_path, caplog):
    scored = [volume("a", "CT", 0), volume("b", "PET", 1)]
    out = run(tmp_path / "all", [air("0", "CT"), *scored, air("c", "MRI")], baselines=["gaussian"])
    assert "2 more cases are not scored, since their label is constant in every slice: CT 0, MRI c" in caplog.messages
    without = run(tmp_path / "scored", scored, baselines=["gaussian"])
    assert (out / "slices.csv").read_bytes() == (without / "slices.csv").read_bytes()
    for name in ("cases.csv", "volumes.csv"):
        lines = rows(out / name)
        empty = [row for row in lines if row["n_slices"] == "0"]
        assert [row for row in lines if row not in empty] == rows(without / name)
        assert [(row["case"], row["method"], row["n_constant"]) for row in empty] == [
            (case, method, "3") for case in "0c" for method in ("input", "restored")
        ]
        assert not any(row[score] for row in empty for score in ("psnr", "ssim", "rmse"))
    tasks, expected = (json.loads((it / "summary.json").read_text())["tasks"] for it in (out, without))
    assert tasks["PET"] == expected["PET"]
    assert tasks["CT"] == {**expected["CT"], "n_unscored": 1, "n_constant": 3}
    counts = {name: tasks["MRI"][name] for name in ("n_cases", "n_unscored", "n_slices", "n_constant", "methods")}
    assert counts == {"n_cases": 0, "n_unscored": 1, "n_slices": 0, "n_constant": 3, "methods": {}}


def test_nothing_to_score_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="every slice of all 2 cases has a constant label"):
        run(tmp_path, [air("a", "CT"), air("b", "PET")])
    assert not (tmp_path / "out").exists()


def test_cases_of_one_subject_are_one_unit(tmp_path):
    volumes = [{**volume(f"case{index}", "PET", index), "subject": f"s{index // 2}"} for index in range(10)]
    out = run(tmp_path, volumes)
    task = json.loads((out / "summary.json").read_text())["tasks"]["PET"]
    assert (task["n_cases"], task["n_subjects"], task["statistics_over"]) == (10, 5, "subjects")
    against = task["restored_against"]["input"]["psnr"]
    assert (against["unit"], against["test"]["n_pairs"]) == ("subjects", 5)
    table = rows(out / "cases.csv")
    assert [row["subject"] for row in table[::2]] == [f"s{index // 2}" for index in range(10)]
    psnr = [float(row["psnr"]) for row in table if row["method"] == "restored"]
    assert task["methods"]["restored"]["volumes"]["rmse"]["interval"] is not None
    # Two runs are compared over subjects, too.
    other = run(tmp_path / "other", [{**one, "pred": one["image"]} for one in volumes])
    again = run(tmp_path / "again", volumes, compare_to=str(other / "slices.csv"))
    task = json.loads((again / "summary.json").read_text())["tasks"]["PET"]
    assert task["restored_against"]["other_run"] == task["restored_against"]["input"]
    assert task["methods"]["restored"]["slices"]["psnr"]["mean"] == pytest.approx(sum(psnr) / 10)


def test_without_subjects_the_column_is_empty(tmp_path):
    out = run(tmp_path, [volume("a", "CT", 0)])
    assert {row["subject"] for name in FILES if name.endswith(".csv") for row in rows(out / name)} == {""}
    assert json.loads((out / "summary.json").read_text())["tasks"]["CT"]["n_subjects"] is None


def test_subjects_that_are_named_here_and_there_are_refused(tmp_path):
    named = {**volume("a", "CT", 0), "subject": "s"}
    with pytest.raises(RefusedInputError, match=r"only some CT cases have a subject, see /scans/b\.nii\.gz"):
        run(tmp_path, [named, volume("b", "CT", 1)])
    assert run(tmp_path, [named, volume("b", "PET", 1)]).is_dir()


def test_another_run_is_tested_against(tmp_path):
    cases = [("a", "CT"), ("b", "PET")]
    other = run(tmp_path / "other", [volume(*case, 0, noise=0.08) for case in cases])
    out = run(tmp_path / "one", [volume(*case, 0) for case in cases], compare_to=str(other / "slices.csv"))
    summary = json.loads((out / "summary.json").read_text())
    against = summary["tasks"]["PET"]["restored_against"]["other_run"]["psnr"]
    means = [next(row for row in rows(one / "cases.csv")[::-1]) for one in (out, other)]
    assert against["mean_difference"] == pytest.approx(float(means[0]["psnr"]) - float(means[1]["psnr"]))
    assert summary["compared_to"]["protocol"] == "tat-2d-v1"


def test_other_slices_or_another_protocol_are_refused(tmp_path):
    other = run(tmp_path / "other", [volume("a", "CT", 0), volume("b", "CT", 0)]) / "slices.csv"
    with pytest.raises(RefusedInputError, match=r"3 slices are scored in one run only \(CT b slice 0, "):
        run(tmp_path / "one", [volume("a", "CT", 0)], compare_to=str(other))
    other.write_text(other.read_text().replace("tat-2d-v1", "tat-2d-v9"))
    with pytest.raises(RefusedInputError, match="protocols tat-2d-v1 and tat-2d-v9"):
        run(tmp_path / "two", [volume("a", "CT", 0), volume("b", "CT", 0)], compare_to=str(other))
    assert not (tmp_path / "two" / "out").exists()


def test_what_can_be_refused_early_is(tmp_path, monkeypatch):
    nothing_to_restore: list[dict[str, Any]] = [{}]  # the first iteration would fail
    with pytest.raises(RefusedInputError, match=r"baselines .* are unknown"):
        run(tmp_path, nothing_to_restore, baselines=["median"])
    with pytest.raises(RefusedInputError, match=r"none\.csv is no slices\.csv"):
        run(tmp_path, nothing_to_restore, compare_to=str(tmp_path / "none.csv"))
    monkeypatch.setitem(__import__("sys").modules, "scipy.stats", None)
    with pytest.raises(ImportError, match=r"needs scipy\.stats"):
        run(tmp_path, nothing_to_restore)


def test_two_cases_of_one_name_are_refused(tmp_path):
    volumes = [volume("p1/image", "CT", 0), volume("p2/image", "CT", 1)]
    with pytest.raises(
        RefusedInputError, match=r"/scans/p1/image\.nii\.gz and .*p2/image\.nii\.gz are both named image"
    ):
        run(tmp_path, volumes)
    assert run(tmp_path, [volume("image", "CT", 0), volume("image_", "PET", 1)]).is_dir()


def test_a_single_image_is_a_volume_of_one_slice(tmp_path):
    one = volume("a", "CT", 0, n_slices=1)
    two = {key: image[..., 0] if key != "modality" else image for key, image in one.items()}
    as_volume, as_image = (run(tmp_path / name, [it]) for name, it in (("volume", one), ("image", two)))
    assert all((as_volume / name).read_bytes() == (as_image / name).read_bytes() for name in FILES)


def test_a_second_run_starts_anew(tmp_path):
    run(tmp_path, [volume("a", "CT", 0), volume("b", "PET", 1)])
    out = run(tmp_path, [volume("a", "CT", 0)])
    assert {row.case for row in read_slices(out / "slices.csv").rows} == {"a"}


def test_processes_put_their_cases_together_once(monkeypatch):
    mine, theirs = {"/a": ["scores of a"], "/b": ["scores of b"]}, {"/c": ["scores of c"], "/a": ["scores of a"]}
    assert gather(mine) is mine
    monkeypatch.setattr(idist, "get_world_size", lambda: 2)
    monkeypatch.setattr(idist, "all_gather", lambda results: [results, theirs])
    assert gather(mine) == {**mine, "/c": ["scores of c"]}


def _gather_in_process(rank: int, out: str) -> None:
    mine = {"/both": ["scores"], f"/case{rank}": [rank]}
    Path(out, f"{rank}.json").write_text(json.dumps(gather(mine), sort_keys=True))


@pytest.mark.slow
def test_two_real_processes(tmp_path):
    idist.spawn("gloo", _gather_in_process, args=(str(tmp_path),), nproc_per_node=2)
    expected = {"/both": ["scores"], "/case0": [0], "/case1": [1]}
    assert [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)] == [expected] * 2


@pytest.mark.parametrize(("modality", "planes", "n_said"), [("PET", False, 1), ("PET", True, 0), ("CT", False, 0)])
def test_pet_in_other_planes_than_that_of_the_other_run_is_said(tmp_path, caplog, modality, planes, n_said):
    other = run(tmp_path / "other", [volume("a", modality, 0)], pet_planes=True)
    run(tmp_path / "one", [volume("a", modality, 0)], pet_planes=planes, compare_to=str(other / "slices.csv"))
    said = [message for message in caplog.messages if "PET in one plane here, PET in three planes in" in message]
    assert len(said) == n_said
    assert all(message.endswith("slices.csv: for the same in both, pass --pet_planes True") for message in said)
