"""Train and score TAT and the networks that it is compared with, with the same steps, batches, data and code for all.

Runs are done one after the other, the most informative first. You can stop the script and start it again: a stopped
run continues from its last checkpoint, at most a hundred steps before. If you start the script twice, it works on two
runs, each on one core. The results of a finished run are small and belong into the repository (--results). A run with
results is not repeated, on any computer. tabulate.py makes the tables.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import fcntl
import functools
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from bundle.tat.atomic import write_json
from bundle.tat.diagnosis import read_configs
from bundle.tat.file_digest import file_sha256
from bundle.tat.refusal import RefusedInputError
from scripts.benchmarks.ablation.arms import ARMS, N_PER_TASK, N_TASKS, Arm, Run, chosen_runs
from scripts.benchmarks.ablation.result import CaseScore, Record, Result, case_scores, read_record, write_result
from scripts.benchmarks.ablation.scored import SECTIONS, choose_scored
from scripts.benchmarks.documents import ROOT
from scripts.benchmarks.fixed_budget import (
    CONFIGS,
    NETWORK,
    Training,
    claim,
    describe,
    refuse_other,
    run_module,
    score,
    train,
)
from scripts.benchmarks.operations import count_flop

RECIPE: Final = "scanners"
EPOCH_LENGTH: Final = 100
RESULTS: Final = ROOT / "docs" / "ablation"
WEIGHTS: Final = ROOT / "models" / "model.pt"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Settings that all runs share.

    Args:
        data: folder of the prepared data.
        out: folder in which each run gets a folder for its checkpoint and weights.
        results: folder for the two small files of each finished run.
        n_steps: optimiser steps.
        weights: weights of TAT, from which some arms start.
    """

    data: Path
    out: Path
    results: Path
    n_steps: int
    weights: Path

    def frozen(self) -> Path:
        """Path of the weights with frozen kernels, which are made once of these weights."""
        return self.out / f"frozen_{file_sha256(self.weights)[:12]}.pt"


def as_training(run: Run, budget: Budget) -> Training:
    """The training of one run; a task alone gets batches as large as those of all tasks together."""
    pretrained = None
    if run.arm.start != "random":
        pretrained = budget.weights if run.arm.start == "weights" else budget.frozen()
    return Training(
        folder=budget.out / run.name,
        data=budget.data,
        n_steps=budget.n_steps if run.arm.trains else 0,
        epoch_length=min(EPOCH_LENGTH, budget.n_steps),
        seed=run.seed,
        recipe=RECIPE,
        overlays=run.arm.overlays,
        options=run.arm.options,
        pretrained=pretrained,
    )


def identify(run: Run, training: Training, weights: Path) -> dict[str, object]:
    """Everything that a result depends on, apart from the code."""
    given = run.arm.start != "random"
    return {**describe(training), "start": run.arm.start, "start_sha256": file_sha256(weights) if given else None}


@functools.cache
def weigh(arm: Arm) -> tuple[int, float]:
    """Parameters of an arm's network, and operations of a step [1e9]: forward and backward, on its batch."""
    names = [*NETWORK, *arm.overlays]
    with FakeTensorMode():
        configs = read_configs([CONFIGS / f"{name}.json" for name in names])
        network: torch.nn.Module = configs.get_parsed_content("network_def")
        side = int(configs.get_parsed_content("train#patch_size"))
        options = dict(zip(arm.options[::2], arm.options[1::2], strict=True))
        n_samples = int(str(options.get("--n_per_task", N_PER_TASK * N_TASKS)))
        flop = count_flop(network, torch.rand(n_samples, 1, side, side))
    return sum(parameter.numel() for parameter in network.parameters()), round(flop / 1e9, 3)


def commit_of_code() -> str:
    """Commit of the repository, with a plus where files differ from it."""
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", "bundle", "configs", "scripts"],
        capture_output=True,
        text=True,
        check=True,
    )
    return name.stdout.strip() + ("+" if changed.stdout.strip() else "")


def trained_seconds(folder: Path) -> float | None:
    """CPU seconds of the steps of a training, over all restarts."""
    log = folder / "training_log.csv"
    if not log.is_file():
        return None
    with log.open(newline="", encoding="utf-8") as file:
        return float([*csv.DictReader(file)][-1]["cpu_seconds"])


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[bool]:
    """Lock a folder against other processes; false if another process has it. The lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "owner.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def make_frozen(budget: Budget) -> None:
    """Make the weights that static twins start from, once; wait if another process makes them."""
    out = budget.frozen()
    budget.out.mkdir(parents=True, exist_ok=True)
    with (budget.out / "frozen.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not out.exists():
            words = [budget.weights.absolute(), out.absolute(), "--data", budget.data.absolute()]
            run_module("scripts.benchmarks.ablation.frozen", words)


def score_all(training: Training) -> list[CaseScore]:
    """Score a training on all sections."""
    chosen, conditions = choose_scored(training.data)
    datalist = training.folder / "scored.json"
    write_json(datalist, chosen)
    scores = []
    for section in SECTIONS:
        folder = training.folder / section
        if not (folder / "summary.json").exists():
            score(training, datalist, section, folder)
        scores.extend(case_scores(folder / "slices.csv", section, conditions))
    return scores


def is_finished(run: Run, identity: Mapping[str, object], results: Path) -> bool:
    """Whether the results hold the run; another run of the same name ends the script."""
    record = read_record(results, run.name)
    if record is None:
        return False
    advice = f"use the code of commit {record.commit} and its data, or pass another --results"
    refuse_other(record.identity, identity, results / run.name, advice=advice)
    return True


def do(run: Run, budget: Budget) -> None:
    """Finish one run, unless it is finished or another process works on it."""
    training = as_training(run, budget)
    identity = identify(run, training, budget.weights)
    if is_finished(run, identity, budget.results):
        return
    with owned(training.folder) as is_ours:
        if not is_ours:
            print(f"{run.name}: left out, another process works on it", flush=True)
            return
        claim(training, identity)
        if run.arm.start == "frozen":
            make_frozen(budget)
        n_parameters, gflop = weigh(run.arm)
        train(training)
        scores = score_all(training)
        record = Record(
            arm=run.arm.name,
            seed=run.seed,
            n_parameters=n_parameters,
            gflop_per_step=gflop,
            n_steps=training.n_steps,
            cpu_seconds=trained_seconds(training.folder),
            commit=commit_of_code(),
            weights_sha256=file_sha256(training.weights),
            identity=identity,
        )
        write_result(budget.results, Result(record, scores))


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and do all runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="prepared data (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/ablation"), help="folder for checkpoints and weights (%(default)s)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="finished runs (default: docs/ablation)")
    parser.add_argument("--steps", type=int, default=2000, help="optimiser steps of each run (default: %(default)s)")
    parser.add_argument(
        "--arms", nargs="+", choices=ARMS, metavar="ARM", help=f"arms to run, some of {', '.join(ARMS)}"
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, metavar="SEED", help="seeds of all arms (default: 0, for some arms 0 1 2)"
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="weights of TAT to continue (models/model.pt)")
    options = parser.parse_args(arguments)
    if options.steps < 1 or (options.steps > EPOCH_LENGTH and options.steps % EPOCH_LENGTH):
        parser.error(f"--steps is {options.steps}: pass a multiple of {EPOCH_LENGTH}")
    runs = chosen_runs(options.arms, options.seeds)
    budget = Budget(
        data=options.data,
        out=options.out,
        results=options.results,
        n_steps=options.steps,
        weights=options.weights,
    )
    for number, run in enumerate(runs, start=1):
        print(f"\n=== {run.name}: run {number} of {len(runs)}", flush=True)
        try:
            do(run, budget)
        except RefusedInputError as refusal:
            sys.exit(str(refusal))


if __name__ == "__main__":
    main()
