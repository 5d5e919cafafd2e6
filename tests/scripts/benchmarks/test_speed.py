"""The speed benchmark on the command line: what it runs, leaves out and writes."""

from __future__ import annotations

import importlib
import json
import subprocess
from types import ModuleType

import pytest

MISSING = "No module named 'einops'"


def script() -> ModuleType:
    return importlib.import_module("scripts.benchmarks.speed")


@pytest.fixture
def cases(monkeypatch) -> list[tuple[str, int]]:
    """What is run; a run takes 1 ms a pixel, longer the later it is, and Restormer cannot run."""
    run: list[tuple[str, int]] = []

    def answer(command, *, timeout, **_):
        network, _, size, batch = command[2:]
        run.append((network, int(size) ** 2 * int(batch)))
        if network == "restormer":
            raise subprocess.CalledProcessError(1, command, stderr=f"Traceback\n{MISSING}\n")
        seconds = run[-1][1] / 1000 * (1 + len(run) / 100)
        if seconds > timeout:
            raise subprocess.TimeoutExpired(command, timeout)
        figures = {"seconds": seconds, "cpu_seconds": seconds, "peak_mib": 1.0, "gflop": 2 * seconds}
        figures["matmul_gflop_per_second"] = 4.0
        return subprocess.CompletedProcess(command, 0, json.dumps(figures))

    monkeypatch.setattr(subprocess, "run", answer)
    return run


def test_networks_take_turns_and_the_median_is_written(cases, tmp_path, capsys):
    out = tmp_path / "new" / "speed.json"
    script().main(["--networks", "plain", "strips", "--sizes", "8", "--batches", "1", "2", "--out", str(out)])
    assert cases == [("plain", 64), ("strips", 64)] * 3 + [("plain", 128), ("strips", 128)] * 3
    rows = json.loads(out.read_text())["rows"]
    assert [row["network"] for row in rows] == ["plain", "strips"] * 2
    # Runs 1, 3 and 5 are of whole maps: the median is the third run of all.
    assert rows[0]["seconds"] == pytest.approx(0.064 * 1.03)
    assert rows[0]["gflop_per_second"] == pytest.approx(2)
    assert rows[0]["share_of_matmul"] == pytest.approx(0.5)
    assert len(capsys.readouterr().out.strip().splitlines()) == 3 + len(rows)


def test_what_cannot_run_or_takes_too_long_is_left_out_in_words(cases, tmp_path, capsys):
    out = tmp_path / "speed.json"
    options = ["--networks", "strips", "restormer", "--batches", "1", "--repetitions", "2", "--limit", "1"]
    script().main([*options, "--sizes", "16", "32", "--out", str(out)])
    assert cases == [("strips", 256), ("restormer", 256), ("strips", 256)]
    rows = {(row["network"], row["size"]): row.get("left_out") for row in json.loads(out.read_text())["rows"]}
    assert rows == {
        ("strips", 16): None,
        ("restormer", 16): MISSING,
        ("strips", 32): "would take more than 1 s",
        ("restormer", 32): MISSING,
    }
    assert "would take more than 1 s" in capsys.readouterr().out


def test_a_run_that_exceeds_the_limit_is_stopped(cases, tmp_path):
    out = tmp_path / "speed.json"
    script().main(["--networks", "strips", "--sizes", "32", "--batches", "1", "--limit", "1", "--out", str(out)])
    assert len(cases) == 1
    assert json.loads(out.read_text())["rows"][0]["left_out"] == "takes more than 1 s"


def test_presets_go_into_one_table(cases, tmp_path):
    out = tmp_path / "speed.json"
    options = ["--networks", "strips", "--sizes", "8", "--batches", "1", "--repetitions", "1"]
    script().main([*options, "--presets", "small", "full", "--out", str(out)])
    assert [row["preset"] for row in json.loads(out.read_text())["rows"]] == ["small", "full"]


@pytest.mark.slow
def test_strips_need_a_quarter_of_the_memory(tmp_path):
    out = tmp_path / "speed.json"
    options = ["--networks", "plain", "strips", "--sizes", "512", "--batches", "1", "--repetitions", "1"]
    script().main([*options, "--out", str(out)])
    plain, strips = json.loads(out.read_text())["rows"]
    assert strips["peak_mib"] < plain["peak_mib"] / 4
    assert strips["gflop"] == plain["gflop"]
