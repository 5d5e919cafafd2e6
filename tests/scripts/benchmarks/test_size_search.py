"""Equal compute: what a step costs, how many steps a width gets, and what a run that was stopped does next."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.evaluation.table import write_csv
from tests.pictures import draw_figure, read_picture
from tests.scripts.benchmarks.commands import option

PROVENANCE = {
    "protocol": "p",
    "data_range": "r",
    "weights_sha256": "0",
    "bundle_version": "0",
    "datalist": "d.json",
    "section": "testing",
}


@pytest.fixture
def scripts(monkeypatch):
    """Import scripts by name, as they import each other."""
    return importlib.import_module


@pytest.fixture
def search(scripts) -> ModuleType:
    return scripts("scripts.benchmarks.size_search")


@given(
    flop=st.floats(1e6, 1e12),
    reference=st.floats(1e6, 1e12),
    n_epochs=st.integers(1, 1000),
)
def test_steps_are_whole_epochs_that_cost_what_the_reference_does(flop, reference, n_epochs):
    search = importlib.import_module("scripts.benchmarks.size_search")
    n_steps = search.n_steps_for(flop, reference, n_epochs * search.EPOCH_LENGTH)
    assert n_steps % search.EPOCH_LENGTH == 0
    assert n_steps >= search.EPOCH_LENGTH
    wanted = n_epochs * search.EPOCH_LENGTH * reference / flop
    assert abs(n_steps - max(wanted, search.EPOCH_LENGTH)) <= search.EPOCH_LENGTH / 2 * (1 + 1e-9)


def test_narrow_networks_train_longer_and_the_reference_as_asked(search):
    sizes = search.measure_sizes(1000)
    assert [size.dim for size in sizes] == sorted(search.DIMS)
    assert [size.n_parameters for size in sizes] == sorted({size.n_parameters for size in sizes})
    assert [size.n_steps for size in sizes] == sorted({size.n_steps for size in sizes}, reverse=True)
    (reference,) = (size for size in sizes if size.dim == search.REFERENCE_DIM)
    assert reference.n_steps == 1000
    for size in sizes:
        spent = size.n_steps * size.gflop_per_step / (1000 * reference.gflop_per_step)
        assert spent == pytest.approx(1, abs=search.EPOCH_LENGTH / 2 / size.n_steps + 1e-9)


@pytest.fixture
def two_sizes(search, monkeypatch):
    sizes = [search.TrainedSize(8, 600, 1.5, 150, 0), search.TrainedSize(16, 1800, 4.5, 50, 0)]
    monkeypatch.setattr(search, "measure_sizes", lambda _, seed: [replace(size, seed=seed) for size in sizes])
    return sizes


def test_all_widths_are_trained_and_scored_with_the_recipe_of_the_ablation(search, two_sizes, calls, tmp_path):
    search.main(["--out", str(tmp_path), "--steps", "50", "--seeds", "0"])
    trained, scored = calls[::2], calls[1::2]
    for size, training, scoring in zip(two_sizes, trained, scored, strict=True):
        names = [Path(name).stem for name in json.loads(option(training, "--config_file").replace("'", '"'))]
        assert names == ["train", "small", "augmented"]
        assert [option(command, "--network_def#dim") for command in (training, scoring)] == [str(size.dim)] * 2
        assert int(option(training, "--epochs")) * int(option(training, "--epoch_length")) == size.n_steps
        assert int(option(training, "--val_interval")) > int(option(training, "--epochs"))
        assert (option(training, "--amp"), option(training, "--seed")) == ("True", "0")
        assert "evaluate.json" in option(scoring, "--config_file")
        assert option(scoring, "--section") == "validation"
        assert option(scoring, "--ckpt_path") == str(tmp_path / size.name / "model.pt")
        assert (tmp_path / size.name / "model.pt").is_file()
        assert search.read_size(tmp_path / size.name) == size


def test_every_width_is_trained_with_every_seed(search, two_sizes, calls, tmp_path):
    search.main(["--out", str(tmp_path), "--seeds", "3", "5"])
    assert [option(command, "--seed") for command in calls[::2]] == ["3", "3", "5", "5"]
    folders = [Path(option(command, "--ckpt_dir")).name for command in calls[::2]]
    assert folders == ["dim8_seed3", "dim16_seed3", "dim8_seed5", "dim16_seed5"]
    assert search.read_size(tmp_path / "dim8_seed5") == replace(two_sizes[0], seed=5)


def test_the_next_call_goes_on_with_what_is_not_scored(search, two_sizes, calls, tmp_path):
    search.main(["--out", str(tmp_path), "--seeds", "0", "--only", "8"])
    assert len(calls) == 2
    search.main(["--out", str(tmp_path), "--seeds", "0"])
    assert [option(command, "--network_def#dim") for command in calls[2:]] == ["16", "16"]
    # A training goes on by itself where its folder holds a checkpoint.
    assert option(calls[2], "--ckpt_dir") == str(tmp_path / "dim16_seed0")
    search.main(["--out", str(tmp_path), "--seeds", "0"])
    assert len(calls) == 4


def test_a_folder_of_another_budget_is_left_alone(search, two_sizes, calls, tmp_path):
    search.main(["--out", str(tmp_path), "--seeds", "0", "--only", "8"])
    two_sizes[0] = search.TrainedSize(8, 600, 1.5, 300, 0)
    with pytest.raises(SystemExit, match="dim8_seed0 holds a run with n_steps 150, not 300"):
        search.main(["--out", str(tmp_path)])
    assert len(calls) == 2


def test_a_run_on_other_data_is_not_taken_for_done(search, two_sizes, calls, tmp_path):
    search.main(["--out", str(tmp_path), "--seeds", "0", "--only", "8"])
    (tmp_path / "data" / "datalist.json").write_text('{"training": []}')
    with pytest.raises(SystemExit, match=r"dim8_seed0 holds a run with datalist\.json sha256"):
        search.main(["--out", str(tmp_path)])


def test_data_that_are_not_prepared_are_named(search, two_sizes, calls, tmp_path):
    with pytest.raises(SystemExit, match=r"cannot read .*none/datalist.json: No such file"):
        search.main(["--out", str(tmp_path), "--data", str(tmp_path / "none")])
    assert calls == []


def test_steps_that_are_no_epochs_are_refused(search, capsys):
    with pytest.raises(SystemExit):
        search.main(["--steps", "70"])
    assert "--steps is 70: pass a multiple of 50" in capsys.readouterr().err


def write_run(search: ModuleType, out: Path, size: object, gains: dict[str, float]) -> None:
    """A finished run whose two slices of each task gain as said, on the mean."""
    folder = out / size.name
    search.write_size(size, folder)
    rows = [
        {"modality": task, "case": "a", "method": method, "parameter": None, "slice": index, "psnr": psnr}
        | {"ssim": 0.9, "rmse": 1.0, "unit": "u", **PROVENANCE}
        for task, gain in gains.items()
        for index in range(2)
        for method, psnr in (("input", 30.0 + index), ("restored", 30.0 + index + gain + (-1) ** index))
    ]
    write_csv(folder / "eval" / "slices.csv", rows)
    (folder / "eval" / "summary.json").touch()


def test_the_table_and_the_picture_go_into_the_page(scripts, search, two_sizes, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs the extra report")
    write_run(search, tmp_path / "runs", two_sizes[1], {"CT": 4.0, "MRI": 1.0, "PET": 7.0})
    write_run(search, tmp_path / "runs", replace(two_sizes[1], seed=1), {"CT": 5.0, "MRI": 1.0, "PET": 6.0})
    write_run(search, tmp_path / "runs", two_sizes[0], {"CT": 3.0, "MRI": 0.5, "PET": 7.0})
    search.write_size(search.TrainedSize(24, 4000, 9.0, 50, 0), tmp_path / "runs" / "dim24_seed0")  # not finished
    page, picture = tmp_path / "page.md", tmp_path / "pictures" / "sizes.png"
    page.write_text("before\n<!-- sizes -->\n\n<!-- /sizes -->\nafter\n")
    module = scripts("scripts.benchmarks.draw_sizes")
    module.main([str(tmp_path / "runs"), "--picture", str(picture), "--document", str(page)])
    figure = module.draw(module.read_scored(tmp_path / "runs"))
    np.testing.assert_array_equal(read_picture(picture), draw_figure(figure))
    assert page.read_text().splitlines() == [
        "before",
        "<!-- sizes -->",
        "| dim | parameters | seeds | steps | GFLOP a step "
        "| CT gain [dB] | MRI gain [dB] | PET gain [dB] | mean [dB] |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| 8 | 600 | 1 | 150 | 1.5 | +3.00 | +0.50 | +7.00 | +3.50 |",
        "| 16 | 1,800 | 2 | 50 | 4.5 "
        "| +4.50 (+4.00 to +5.00) | +1.00 (+1.00 to +1.00) | +6.50 (+6.00 to +7.00) | +4.00 (+4.00 to +4.00) |",
        "",
        "![gain against parameters](pictures/sizes.png)",
        "",
        "<!-- /sizes -->",
        "after",
    ]


def test_without_a_finished_run_nothing_is_drawn(scripts, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra report")
    with pytest.raises(SystemExit, match=r"run size_search\.py first"):
        scripts("scripts.benchmarks.draw_sizes").main([str(tmp_path)])
