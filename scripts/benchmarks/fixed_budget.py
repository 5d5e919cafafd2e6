"""Train networks with one recipe for a fixed number of steps, and score them.

A training that was stopped goes on where it was. A folder whose run had another budget, other configs or other data is
refused: its figures are not to stand beside the new ones.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from bundle.tat.atomic import write_json, written_whole
from bundle.tat.file_digest import file_sha256
from bundle.tat.handlers.checkpoint import save_whole

NETWORK: Final = ("train", "small")
RUN_NAME: Final = "run.json"
# Of Linux, see prctl(2).
PR_SET_PDEATHSIG: Final = 1
CONFIGS: Final = Path(__file__).parents[2] / "configs"
# How pairs are varied in training, and the lists of scans that it takes.
RECIPES: Final[Mapping[str, Sequence[str]]] = {
    "augmented": ("datalist.json",),
    "scanners": ("datalist.json", "real.json"),
}
# One core, which does not wait for others by spinning; glibc keeps large blocks, which makes training twice as fast.
ENVIRONMENT: Final[Mapping[str, str]] = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained, for how long, and where its files go.

    Args:
        folder: gets ``checkpoint.pt`` and ``model.pt``.
        data: folder of the prepared data.
        n_steps: optimiser steps, a multiple of ``epoch_length``; 0 takes ``pretrained`` as it is.
        epoch_length: steps between two checkpoints.
        seed: of the start and of the batches.
        recipe: one of ``RECIPES``.
        overlays: names of configs that change the small network or its loss.
        options: command line of training and scoring alike.
        pretrained: weights to start from; ``None`` starts from random ones.
    """

    folder: Path
    data: Path
    n_steps: int
    epoch_length: int
    seed: int = 0
    recipe: str = "augmented"
    overlays: Sequence[str] = ()
    options: Sequence[object] = ()
    pretrained: Path | None = None

    @property
    def weights(self) -> Path:
        """What it leaves: averaged over its steps as all trainings are."""
        return self.folder / "model.pt"


def describe(training: Training) -> dict[str, object]:
    """What the result rests on, apart from the code and the weights it starts from: budget, seed, configs and data.

    Raises:
        RefusedInputError: one of these files cannot be read.
    """
    configs = [CONFIGS / f"{name}.json" for name in (*NETWORK, training.recipe, *training.overlays)]
    lists = [training.data / name for name in RECIPES[training.recipe]]
    return {
        "n_steps": training.n_steps,
        "epoch_length": training.epoch_length,
        "seed": training.seed,
        "options": [str(word) for word in training.options],
        **{f"{path.name} sha256": file_sha256(path) for path in (*lists, *configs)},
    }


def refuse_other(found: Mapping[str, object], described: Mapping[str, object], place: Path, *, advice: str) -> None:
    """End the script where a run is another one than the one that is described, naming the first difference."""
    for name in {**described, **found}:
        if found.get(name) != described.get(name):
            sys.exit(f"{place} holds a run with {name} {found.get(name)}, not {described.get(name)}: {advice}")


def claim(training: Training, described: Mapping[str, object]) -> None:
    """Write what is trained beside it; a folder in which something else was trained ends the script."""
    path = training.folder / RUN_NAME
    if not path.exists():
        write_json(path, described)
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    refuse_other(found, described, training.folder, advice="pass another --out, or delete it")


def call(overlays: Sequence[str], options: Sequence[object]) -> None:
    """Run the config of training with overlays."""
    files = str([str(CONFIGS / f"{name}.json") for name in (*NETWORK, *overlays)])
    run_module("monai.bundle", ["run", "--config_file", files, *options])


def run_module(name: str, words: Sequence[object]) -> None:
    """Run a module in a process of its own, on one core; a failure ends the script, and it ends with the script."""
    command = [sys.executable, "-m", name, *map(str, words)]
    done = subprocess.run(command, env={**ENVIRONMENT, **os.environ}, check=False, preexec_fn=_end_with_parent)
    if done.returncode:
        sys.exit(f"stopped with {done.returncode}: {' '.join(command)}")


def _end_with_parent() -> None:
    """Let the system kill this process when its parent ends, even by ``kill -9``: no two are to train in one folder."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def train(training: Training) -> None:
    """Bring a training to its last step, and leave its averaged weights; nothing is validated on the way."""
    if training.weights.exists():
        return
    if training.n_steps == 0 and training.pretrained:
        with written_whole(training.weights) as temporary:
            shutil.copyfile(training.pretrained, temporary)
        return
    folder = training.folder.absolute()
    n_epochs = training.n_steps // training.epoch_length
    budget = ["--epochs", n_epochs, "--epoch_length", training.epoch_length, "--seed", training.seed, "--amp", True]
    start = ["--pretrained", training.pretrained.absolute()] if training.pretrained else []
    # The epoch of the first validation never comes, and nothing is read for it.
    unvalidated = ["--val_interval", n_epochs + 1, "--validate#dataset#cache_num", 0]
    places = ["--dataset_dir", training.data.absolute(), "--ckpt_dir", folder]
    # A loader process would be work of another core.
    call([training.recipe, *training.overlays], [*places, *budget, *start, *unvalidated, *training.options])
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    save_whole(state["objects"]["average"], training.weights)


def score(training: Training, datalist: Path, section: str, output_dir: Path) -> None:
    """Score what was trained on a section of a list; no plain filter is tried."""
    where = ["--dataset_dir", training.data.absolute(), "--datalist_file", datalist.absolute(), "--section", section]
    results = ["--ckpt_path", training.weights.absolute(), "--output_dir", output_dir.absolute(), "--baselines", "[]"]
    call([*training.overlays, "evaluate"], [*where, *results, *training.options])
