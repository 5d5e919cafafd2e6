"""Ways to train that are compared: as many samples, and a command that trains."""

import csv
import itertools
from pathlib import Path

import pytest

from scripts.benchmarks import training_speed
from scripts.benchmarks.training_speed import FEW, WAYS, Way, main


def test_two_processes_share_a_step_or_take_one_each():
    assert {name: way.n_samples for name, way in WAYS.items()} == {
        "base": 6,
        "this build": 6,
        "two processes, a step shared": 6,
        "two processes, a step twice as large": 12,
        "bfloat16": 6,
        "two processes, a step shared, bfloat16": 6,
    }
    command = Way(n_ranks=2, n_threads=1).command(Path("data"), Path("out"), 5)
    assert command[1:3] == ["-m", "torch.distributed.run"]
    assert "configs/multi_gpu_train.json" in command[command.index("--config_file") + 1]
    assert command[command.index("--epoch_length") + 1] == "5"


def test_the_start_does_not_count(tmp_path, monkeypatch):
    clock = [0.0]

    def pretend(command, *, cwd, **_):
        options = dict(itertools.pairwise(command))
        is_base = "base" in str(cwd)
        clock[0] += 30.0 + (0.2 if is_base else 0.1) * 6 * int(options["--epoch_length"])
        with Path(options["--ckpt_dir"], "training_log.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([("iteration", "loss"), *((step, 0.5) for step in range(int(options["--epoch_length"])))])

    monkeypatch.setattr(training_speed.subprocess, "run", pretend)
    monkeypatch.setattr(training_speed.time, "monotonic", lambda: clock[0])
    chosen = ["--ways", "base", "this build"]
    found = {}
    monkeypatch.setattr(training_speed, "write_json", lambda _, content: found.update(content))
    main(["--base", str(tmp_path / "base"), "--samples", str(6 * (FEW + 3)), "--repetitions", "1", *chosen])
    base, this = found["rows"]
    assert base["samples_per_second"][0] == pytest.approx(5.0)
    assert this["samples_per_second"][0] == pytest.approx(10.0)
    assert (this["ratio"], this["loss"]) == (pytest.approx(2.0), 0.5)


def test_the_other_build_is_not_left_out_without_a_word(monkeypatch, capsys):
    monkeypatch.setattr(training_speed.subprocess, "run", lambda *_, **__: pytest.fail("nothing is to be trained"))
    with pytest.raises(SystemExit):
        main(["--ways", "base", "this build"])
    assert "--base is missing: pass --base FOLDER" in capsys.readouterr().err
