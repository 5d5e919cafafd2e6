"""Train networks with one recipe for a fixed number of steps, and score them.

A stopped training continues. A folder whose run had another budget, other configs or other data is refused, since its
figures cannot be compared.
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
    """A training: its network, its budget and its files.

    Args:
        folder: folder for ``checkpoint.pt`` and ``model.pt``.
        data: folder of the prepared data.
        n_steps: optimiser steps, a multiple of ``epoch_length``; 0 takes ``pretrained`` unchanged.
        epoch_length: steps between two checkpoints.
        seed: of the initial weights and of the batches.
        recipe: one of ``RECIPES``.
        overlays: names of configs that change the small network or its loss.
        options: options of training and of scoring.
        pretrained: initial weights; ``None`` starts from random weights.
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
        """Path of the trained weights, which are averaged over the steps as in all trainings."""
        return self.folder / "model.pt"


def describe(training: Training) -> dict[str, object]:
    """Everything that the result depends on, apart from code and initial weights: budget, seed, configs and data.

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
    """End the script where a run differs from its description; the message names the first difference."""
    for name in {**described, **found}:
        if found.get(name) != described.get(name):
            sys.exit(f"{place} holds a run with {name} {found.get(name)}, not {described.get(name)}: {advice}")


def claim(training: Training, described: Mapping[str, object]) -> None:
    """Write the description of a training into its folder; a folder of another training ends the script."""
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
    """Run a module in a separate process on one core; it ends with the script, and its failure ends the script."""
    command = [sys.executable, "-m", name, *map(str, words)]
    done = subprocess.run(command, env={**ENVIRONMENT, **os.environ}, check=False, preexec_fn=_end_with_parent)
    if done.returncode:
        sys.exit(f"stopped with {done.returncode}: {' '.join(command)}")


def _end_with_parent() -> None:
    """End this process with its parent, even after ``kill -9``, so that no two processes train in one folder."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def train(training: Training) -> None:
    """Finish a training and write its averaged weights, without validation."""
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
    # The first validation is after the last epoch, so no validation data are read.
    unvalidated = ["--val_interval", n_epochs + 1, "--validate#dataset#cache_num", 0]
    places = ["--dataset_dir", training.data.absolute(), "--ckpt_dir", folder]
    # A loader process would use another core.
    call([training.recipe, *training.overlays], [*places, *budget, *start, *unvalidated, *training.options])
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    save_whole(state["objects"]["average"], training.weights)


def score(training: Training, datalist: Path, section: str, output_dir: Path) -> None:
    """Score a training on a section of a list, in the stored slices alone and without plain filters."""
    where = ["--dataset_dir", training.data.absolute(), "--datalist_file", datalist.absolute(), "--section", section]
    results = ["--ckpt_path", training.weights.absolute(), "--output_dir", output_dir.absolute(), "--baselines", "[]"]
    call([*training.overlays, "evaluate"], [*where, *results, "--pet_planes", False, *training.options])
