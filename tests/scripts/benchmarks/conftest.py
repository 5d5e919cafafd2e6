"""Trainings and scorings that take no time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from tests.scripts.benchmarks.commands import option


@pytest.fixture
def calls(monkeypatch, tmp_path) -> list[list[str]]:
    """Command lines that are run: a training leaves its checkpoint, a scoring its summary."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "datalist.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    run: list[list[str]] = []

    def answer(command, **_):
        run.append(command)
        if "--output_dir" in command:
            folder = Path(option(command, "--output_dir"))
            folder.mkdir(parents=True)
            (folder / "summary.json").touch()
        else:
            folder = Path(option(command, "--ckpt_dir"))
            folder.mkdir(parents=True, exist_ok=True)
            torch.save({"objects": {"average": {"weight": torch.ones(1)}}}, folder / "checkpoint.pt")
        return subprocess.CompletedProcess(command, returncode=0)

    monkeypatch.setattr(subprocess, "run", answer)
    return run
