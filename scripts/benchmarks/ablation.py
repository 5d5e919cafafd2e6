"""Train and score TAT, its ablations and other networks with one budget: same steps, batches, data, code and varieties.

Runs are done one after the other, in the order of what they tell. A run that was stopped goes on where it was, one
that is scored is left alone: start the script again as often as you like. tabulate_ablation.py makes the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from scripts.benchmarks.fixed_budget import Training, train_and_score

EPOCH_LENGTH: Final = 250
N_TASKS: Final = 3


class Run(NamedTuple):
    """What is trained: an overlay of configs/, or one task alone, with a seed."""

    name: str
    seed: int = 0
    overlay: str | None = None
    task: str | None = None

    @property
    def folder(self) -> str:
        """Where its files go."""
        return f"{self.name}_{self.seed}"


THRICE: Final = (
    ("tat", None),
    ("static_twin", "ablations/static_twin"),
    ("no_loss_balancing", "ablations/no_loss_balancing"),
)
RUNS: Final = (
    *(Run(name, seed, overlay) for seed in range(3) for name, overlay in THRICE),
    Run("no_weight_generation", overlay="ablations/no_weight_generation"),
    Run("no_stop_gradient", overlay="ablations/no_stop_gradient"),
    *(Run(f"{task}_alone", task=task) for task in ("CT", "MRI", "PET")),
    Run("reference_start", overlay="ablations/reference_start"),
    Run("basic_unet", overlay="ablations/basic_unet"),
    Run("swin_unetr", overlay="ablations/swin_unetr"),
)


def as_training(run: Run, data: Path, out: Path, n_steps: int) -> Training:
    """Say what one run trains; a task alone gets batches as large as all tasks together."""
    return Training(
        folder=out / run.folder,
        data=data,
        n_steps=n_steps,
        epoch_length=EPOCH_LENGTH,
        seed=run.seed,
        overlays=[run.overlay] if run.overlay else [],
        options=["--tasks", run.task, "--n_per_task", 2 * N_TASKS] if run.task else [],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and do all runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(dict.fromkeys(run.name for run in RUNS))
    parser.add_argument("--data", type=Path, default=Path("data"), help="prepared data (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=2000, help="optimiser steps of each run (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    options = parser.parse_args(arguments)
    if options.steps < EPOCH_LENGTH or options.steps % EPOCH_LENGTH:
        parser.error(f"--steps {options.steps} is no multiple of {EPOCH_LENGTH}")
    for run in RUNS:
        if run.name in options.only:
            train_and_score(as_training(run, options.data, options.out, options.steps))


if __name__ == "__main__":
    main()
