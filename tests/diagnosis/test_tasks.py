"""The diagnosis end to end on tiny networks and scans: the files, what they say, and what is refused."""

from __future__ import annotations

import csv
import hashlib
import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib", reason="needs the extra report")

from bundle.tat.cases.refusals import find_refusal
from bundle.tat.diagnosis.figures import TaskCurve, draw_training, read_training_log, read_validation_log
from bundle.tat.diagnosis.tasks import diagnose_tasks
from bundle.tat.networks import TAT
from bundle.tat.optional import exit_if_missing
from bundle.tat.refusal import RefusedInputError
from bundle.tat.version import VERSION
from tests.configs.test_train import TINY, pairs  # noqa: F401 - the fixture
from tests.pictures import draw_figure, read_picture

ROOT = Path(__file__).parents[2]
LOG = "iteration,task,error,weight,loss\n" + "".join(
    f"{step},{task},{0.1 / step},{0.5 * step},1\n" for step in (100, 200, 300) for task in ("CT", "MRI", "PET")
)
Options = dict[str, object]


@pytest.fixture
def options(tmp_path, monkeypatch, pairs) -> Options:  # noqa: F811
    """Options for a tiny network with random weights, from a directory that is not the repository."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "tiny.json").write_text(json.dumps({"network_def": TINY, "n_per_task": 2}))
    arguments = {name: value for name, value in TINY.items() if name != "_target_"}
    for name, adaptive in (("adaptive", True), ("static", False)):
        (tmp_path / name).mkdir()
        torch.save(TAT(**arguments, adaptive=adaptive).state_dict(), tmp_path / name / "model.pt")
    return {
        "config_file": [str(ROOT / "configs" / "train.json"), str(tmp_path / "tiny.json")],
        "weights": "../adaptive/model.pt",
        "datalist": "../pairs/datalist.json",
        "out": "../out/diagnosis",
        "n_batches": 2,
    }


def twin(tmp_path: Path) -> Options:
    overlay = ROOT / "configs" / "ablations/no_weight_generation.json"
    return {"twin": tmp_path / "static" / "model.pt", "twin_config": str(overlay)}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_network_that_takes_neighbours_is_diagnosed(options, tmp_path):
    three = {**TINY, "in_channels": 3}
    (tmp_path / "tiny.json").write_text(json.dumps({"network_def": three, "n_per_task": 2}))
    network = TAT(**{name: value for name, value in three.items() if name != "_target_"})
    torch.save(network.state_dict(), tmp_path / "adaptive" / "model.pt")
    diagnose_tasks(**options)
    tables = {path.name for path in (tmp_path / "out" / "diagnosis").iterdir()}
    assert {"gradient_cosines.csv", "task_representation.csv", "generated_kernels.csv"} <= tables


def test_all_files_are_written(options, tmp_path):
    log = tmp_path / "adaptive" / "training_log.csv"
    log.write_text(LOG)
    sentences = diagnose_tasks(**options, **twin(tmp_path))
    out = tmp_path / "out" / "diagnosis"
    tables = {"gradient_cosines.csv", "task_representation.csv", "task_recognition.csv", "generated_kernels.csv"}
    tables |= {"degradation_cosines.csv", "readout.csv"}
    # Inches of the figures, at 100 pixels each: two maps of six pairs of tasks, one plane, two panels; three tasks of
    # two networks, and one network with weight generation.
    pictures = {"gradient_cosines.png": (10.6, 12), "task_representation.png": (6, 9), "training.png": (5, 12)}
    pictures |= {"degradation_cosines.png": (8.6, 14.8), "readout.png": (4.5, 11), "generated_kernels.png": (4.5, 8)}
    assert {path.name for path in out.iterdir()} == tables | pictures.keys() | {"diagnosis.json"}
    drawn = {name: read_picture(out / name) for name in pictures}
    assert {name: picture.shape[:2] for name, picture in drawn.items()} == {
        name: tuple(round(100 * side) for side in sides) for name, sides in pictures.items()
    }
    of_log = draw_training(read_training_log(log), data="training_log.csv, simulated degradations")
    np.testing.assert_array_equal(drawn["training.png"], draw_figure(of_log))
    assert not any(str(tmp_path) in (out / name).read_text() for name in (*tables, "diagnosis.json"))
    rows = read(out / "gradient_cosines.csv")
    # Three pairs of tasks and three tasks with themselves, on 9 groups or the 7 of a static network.
    names = ["network with weight generation", "twin without weight generation"]
    assert [sum(row["network"] == name for row in rows) for name in names] == [6 * 9, 6 * 7]
    assert all(-1.0 <= float(row["mean"]) <= 1.0 for row in rows if row["mean"])
    assert {row["n"] for row in rows if row["task"] != row["other"] and row["group"] == "all"} == {"2"}
    points = read(out / "task_representation.csv")
    assert [row["task"] for row in points] == ["CT", "CT", "MRI", "MRI", "PET", "PET"] * 2
    assert {row["network"] for row in points} == {names[0]}
    assert [row["features"] for row in read(out / "task_recognition.csv")] == ["Z", "mean and sd of pixels"]
    sizes = read(out / "generated_kernels.csv")
    assert {float(row[kind]) for row in sizes for kind in ("whole", "between_tasks", "within_tasks")} == {0.0}
    counts = {row["features"]: row["n_recognised"] for row in read(out / "task_recognition.csv")}
    of_tasks = [
        *(
            f"{names[0]}: the nearest centroid of {features} gives the right task for {n_right} of 12 patches"
            for features, n_right in counts.items()
        ),
        f"{names[0]}: the root mean square of generated kernels is at most 0.0e+00 of that of the shared kernels, for "
        "their differences between tasks 0.0e+00",
        f"{names[1]}: left out, since a static network has no task representation",
    ]
    start = sentences.index(of_tasks[0])
    assert sentences[start : start + 4] == of_tasks


def test_degradations_are_compared_and_read_out(options, tmp_path):
    sentences = diagnose_tasks(**options, **twin(tmp_path))
    out = tmp_path / "out" / "diagnosis"
    assert {row["of_task"] for row in read(out / "degradation_cosines.csv")} == {"CT", "MRI", "PET"}
    # MRI and PET show one person each, who cannot be left out.
    told = {("all", "task"), ("CT", "quality"), ("CT", "strength")}
    assert {(row["task"], row["what"]) for row in read(out / "readout.csv")} == told
    assert sum(", CT: " in one and "agree least, mean cosine" in one for one in sentences) == 2
    assert sum(": Z gives the right " in one for one in sentences) == 2


def test_degradations_are_left_out_where_no_patch_is_asked_for(options, tmp_path):
    diagnose_tasks(**options, n_patches=0)
    names = {path.name for path in (tmp_path / "out" / "diagnosis").iterdir()}
    assert "generated_kernels.png" in names
    assert not names & {"degradation_cosines.csv", "readout.csv"}


def test_every_table_says_what_it_was_computed_from(options, tmp_path):
    hashes = {
        f"{name} {kind} weight generation": hashlib.sha256((tmp_path / folder / "model.pt").read_bytes()).hexdigest()
        for name, kind, folder in (("network", "with", "adaptive"), ("twin", "without", "static"))
    }
    diagnose_tasks(**options, **twin(tmp_path), seed=3)
    out = tmp_path / "out" / "diagnosis"
    words = (
        '--config_file \'["train.json","tiny.json"]\' --weights model.pt --twin model.pt '
        "--twin_config no_weight_generation.json --datalist datalist.json --out diagnosis "
        "--n_batches 2 --n_patches 4 --seed 3"
    )
    content = (out / "diagnosis.json").read_text()
    assert json.loads(content) == {
        "bundle_version": VERSION,
        "command": f"tat diagnose {words}",
        "datalist": "datalist.json",
        "section": "training",
        "seed": 3,
        "weights_sha256": hashes,
        "checkpoint_sha256": None,
    }
    for table in out.glob("*.csv"):
        for row in read(table):
            assert list(row.items())[-5:] == [
                ("weights_sha256", hashes[row["network"]]),
                ("bundle_version", VERSION),
                ("datalist", "datalist.json"),
                ("section", "training"),
                ("seed", "3"),
            ]


def test_the_same_seed_gives_the_same_tables(options, tmp_path):
    for name in ("one", "two"):
        sentences = diagnose_tasks(**{**options, "out": tmp_path / name})
    for table in ("gradient_cosines.csv", "task_representation.csv"):
        assert (tmp_path / "one" / table).read_bytes() == (tmp_path / "two" / table).read_bytes()
    assert re.search(
        r"training_log\.csv does not exist, so there is no picture of loss weight and difficulty", sentences[0]
    )
    assert not (tmp_path / "one" / "training.png").exists()


def test_a_static_network_alone_has_gradients_only(options, tmp_path):
    overlays = [*options["config_file"], ROOT / "configs" / "ablations/no_weight_generation.json"]
    diagnose_tasks(**{**options, "config_file": overlays, "weights": tmp_path / "static" / "model.pt"})
    assert {path.name for path in (tmp_path / "out" / "diagnosis").iterdir()} == {
        "diagnosis.json",
        "gradient_cosines.csv",
        "gradient_cosines.png",
        "degradation_cosines.csv",
        "degradation_cosines.png",
    }


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"n_batches": 1}, "pass 2 or more"),
        ({"weights": "none.pt"}, r"weights none.pt do not exist: pass the model.pt"),
        ({"weights": "../static/model.pt"}, "of another architecture"),
        ({"datalist": "none.json"}, "cannot read the datalist .*none.json"),
        ({"datalist": "../one_task.json"}, "hold CT: pass data of at least two tasks"),
        ({"checkpoint": "../adaptive/model.pt"}, "holds no TaskAdaptiveLoss"),
        ({"training_log": "../tiny.json"}, "tiny.json: .* no positive error and weight|is no training log"),
        ({"config_file": "none.json"}, "cannot read the configs none.json"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused_in_one_line(options, tmp_path, more, message):
    lists = json.loads((tmp_path / "pairs" / "datalist.json").read_text())["training"]
    one_task = [{**item, **{key: f"pairs/{item[key]}" for key in ("image", "label")}} for item in lists[:2]]
    (tmp_path / "one_task.json").write_text(json.dumps({"training": one_task}))
    with pytest.raises((RefusedInputError, RuntimeError)) as caught:  # MONAI wraps what is raised while it builds
        diagnose_tasks(**{**options, **more})
    refusal = str(find_refusal(caught.value))
    assert re.search(message, refusal)
    assert "\n" not in refusal
    assert not (tmp_path / "out").exists()


def test_overlays_of_a_twin_need_its_weights(options):
    with pytest.raises(RefusedInputError, match=r"twin_config is any\.json, but twin is missing: pass twin"):
        diagnose_tasks(**options, twin_config="any.json")


@pytest.mark.parametrize("rows", ["", "100,CT,nan,1\n", "100,CT,0.1,-1\n", "x,CT,0.1,1\n"])
def test_a_log_that_cannot_be_drawn_is_refused(tmp_path, rows):
    log = tmp_path / "training_log.csv"
    log.write_text(f"iteration,task,error,weight\n{rows}")
    with pytest.raises(RefusedInputError, match=r"training_log.csv"):
        read_training_log(log)
    log.write_text("iteration,task,weight,error\n200,CT,3,0.3\n100,CT,2,0.2\n100,PET,1,0.1\n")
    curves = read_training_log(log)
    assert list(curves) == ["CT", "PET"]
    assert curves["CT"] == TaskCurve([100, 200], [0.2, 0.3], [2.0, 3.0])


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    for name in ("figures", "report", "tasks"):
        monkeypatch.delitem(sys.modules, f"bundle.tat.diagnosis.{name}", raising=False)
    with (
        pytest.raises(SystemExit, match=r"needs matplotlib: run pip install '\.\[report\]'"),
        exit_if_missing("matplotlib", extra="report"),
    ):
        importlib.import_module("bundle.tat.diagnosis.tasks")


def test_validations_are_drawn_beside(tmp_path):
    log = tmp_path / "validation_log.csv"
    log.write_text("epoch,val_psnr,val_psnr_CT,val_psnr_PET\n4,30,31,29\n8,32.5,33,32\n")
    validations = read_validation_log(log)
    assert validations == {"CT": {4: 31.0, 8: 33.0}, "PET": {4: 29.0, 8: 32.0}}
    curves = {"CT": TaskCurve([100, 200], [0.1, 0.2], [1.0, 2.0])}
    figure = draw_training(curves, data="made up", validations=validations)
    assert [panel.get_ylabel() for panel in figure.axes][2] == "PSNR of the validation [dB]"
    assert list(figure.axes[2].lines[1].get_ydata()) == [29.0, 32.0]
    log.write_text("epoch\n")
    with pytest.raises(RefusedInputError, match="no validation log"):
        read_validation_log(log)
