"""Train networks with one recipe for a fixed number of steps, and score each on one split.

A training that was stopped goes on where it was; a network that is scored is left alone. A folder whose run had another
budget, other configs or other data is refused: its figures are not to stand beside the new ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundle.tat.atomic import write_json
from bundle.tat.file_digest import file_sha256
from bundle.tat.refusal import RefusedInputError

RECIPE: Final = ("train", "small")
VARIETIES: Final = "augmented"
RUN_NAME: Final = "run.json"
CONFIGS: Final = Path(__file__).parents[2] / "configs"


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
        section: split that is scored.
    """

    folder: Path
    data: Path
    n_steps: int
    epoch_length: int
    seed: int = 0
    overlays: Sequence[str] = ()
    options: Sequence[object] = ()
    section: str = "testing"

    @property
    def is_scored(self) -> bool:
        """Whether nothing is left to do: the summary is written last."""
        return (self.folder / "eval" / "summary.json").exists()


def describe(training: Training) -> dict[str, object]:
    """What the result rests on, apart from the code: budget, seed, configs and data."""
    configs = [CONFIGS / f"{name}.json" for name in (*RECIPE, VARIETIES, *training.overlays)]
    return {
        "n_steps": training.n_steps,
        "epoch_length": training.epoch_length,
        "seed": training.seed,
        "section": training.section,
        "options": [str(word) for word in training.options],
        "datalist_sha256": file_sha256(training.data / "datalist.json"),
        **{f"{path.name} sha256": file_sha256(path) for path in configs},
    }


def claim(training: Training) -> None:
    """Write what is trained beside it; a folder in which something else was trained ends the script."""
    path = training.folder / RUN_NAME
    try:
        described = describe(training)
    except RefusedInputError as refusal:
        sys.exit(str(refusal))
    if not path.exists():
        write_json(path, described)
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    for name in described | found:
        if found.get(name) != described.get(name):
            sys.exit(
                f"{training.folder} holds a run with {name} {found.get(name)}, not {described.get(name)}: "
                "pass another --out, or delete it"
            )


def call(training: Training, overlays: Sequence[str], options: Sequence[object]) -> None:
    """Run a config of training with its overlays; a failure ends the script."""
    files = str([str(CONFIGS / f"{name}.json") for name in (*RECIPE, *overlays)])
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", files]
    shared = ["--dataset_dir", training.data.absolute(), "--seed", training.seed, *training.options]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # patches are small: more threads wait for each other
    subprocess.run([str(word) for word in (*command, *shared, *options)], check=True)


def train_and_score(training: Training) -> None:
    """Bring one training to its end."""
    claim(training)
    if training.is_scored:
        return
    folder = training.folder.absolute()
    print(f"\n=== {folder.name}", flush=True)
    n_epochs = training.n_steps // training.epoch_length
    budget = ["--epochs", n_epochs, "--epoch_length", training.epoch_length, "--val_interval", n_epochs, "--amp", True]
    call(training, [VARIETIES, *training.overlays], [*budget, "--num_workers", 1, "--ckpt_dir", folder])
    results = ["--section", training.section, "--ckpt_path", folder / "model.pt", "--output_dir", folder / "eval"]
    call(training, [*training.overlays, "evaluate"], results)
