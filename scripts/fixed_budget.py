"""Train networks with one recipe for a fixed number of steps, and score each on the test split.

A training that was stopped goes on where it was; a network that is scored is left alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONFIGS: Final = Path(__file__).parents[1] / "configs"


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained, for how long, and where its files go.

    Args:
        folder: gets ``checkpoint.pt`` and ``model.pt``, and in ``eval`` the scores.
        data: folder of the prepared data.
        n_steps: optimiser steps, a multiple of ``epoch_length``.
        epoch_length: steps between two checkpoints.
        seed: of the start and of the batches.
        overlays: names of configs that change the small network.
        options: command line of training and scoring alike.
    """

    folder: Path
    data: Path
    n_steps: int
    epoch_length: int
    seed: int = 0
    overlays: Sequence[str] = ()
    options: Sequence[object] = ()

    @property
    def is_scored(self) -> bool:
        """Whether nothing is left to do: the summary is written last."""
        return (self.folder / "eval" / "summary.json").exists()


def call(training: Training, overlays: Sequence[str], options: Sequence[object]) -> None:
    """Run a config of training with its overlays; a failure ends the script."""
    files = str([str(CONFIGS / f"{name}.json") for name in ("train", "small", *overlays)])
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", files]
    shared = ["--dataset_dir", training.data.absolute(), "--seed", training.seed, *training.options]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # patches are small: more threads wait for each other
    subprocess.run([str(word) for word in (*command, *shared, *options)], check=True)


def train_and_score(training: Training) -> None:
    """Bring one training to its end."""
    if training.is_scored:
        return
    folder = training.folder.absolute()
    print(f"\n=== {folder.name}", flush=True)
    n_epochs = training.n_steps // training.epoch_length
    budget = ["--epochs", n_epochs, "--epoch_length", training.epoch_length, "--val_interval", n_epochs, "--amp", True]
    call(training, ["varied", *training.overlays], [*budget, "--num_workers", 1, "--ckpt_dir", folder])
    results = ["--ckpt_path", folder / "model.pt", "--output_dir", folder / "eval"]
    call(training, [*training.overlays, "evaluate"], results)
