"""Train the small network in several widths with equal compute, and score each, to choose its size.

Compute is the number of floating-point operations of training. The reference width gets the requested number of steps,
a narrower width more, and a wider width fewer. Scores are of the validation split, since a choice by them must not use
the test split. You can stop the script and start it again: a stopped run continues, and a scored run is not repeated.
draw_sizes.py makes the table and the picture.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from bundle.tat.atomic import write_json
from bundle.tat.networks import TAT
from bundle.tat.refusal import RefusedInputError
from scripts.benchmarks.fixed_budget import CONFIGS, Training, claim, describe, score, train
from scripts.benchmarks.operations import count_flop

# Widths of level 1: even, as TAT wants them, so that the heads 1, 2, 4 and 8 divide their levels' widths.
DIMS: Final = (8, 12, 16, 24)
REFERENCE_DIM: Final = 16
N_TASKS: Final = 3
# Steps are rounded to this many, which is an epoch.
EPOCH_LENGTH: Final = 50
SIZE_NAME: Final = "size.json"


@dataclass(frozen=True)
class TrainedSize:
    """A width with its cost, as in ``size.json`` in the folder of its run.

    Args:
        dim: width of level 1.
        n_parameters: of the network.
        gflop_per_step: floating-point operations of the network, forward and backward, on one training batch [1e9].
        n_steps: optimiser steps.
        seed: of the initial weights and of the batches.
    """

    dim: int
    n_parameters: int
    gflop_per_step: float
    n_steps: int
    seed: int

    @property
    def name(self) -> str:
        """Folder of the run."""
        return f"dim{self.dim}_seed{self.seed}"


def n_steps_for(flop: float, reference_flop: float, reference_steps: int) -> int:
    """Number of steps that take the reference's operations, rounded to whole epochs, at least one."""
    return max(round(reference_steps * reference_flop / flop / EPOCH_LENGTH), 1) * EPOCH_LENGTH


def measure_sizes(reference_steps: int, seed: int = 0) -> list[TrainedSize]:
    """Count parameters and operations of all widths, on the batches of small.json; ``seed`` is for their training."""
    preset = json.loads((CONFIGS / "small.json").read_text(encoding="utf-8"))
    shape = {name: value for name, value in preset["network_def"].items() if name != "_target_"}
    counts = {}
    with FakeTensorMode():
        side = preset["train#patch_size"]
        patches = torch.rand(N_TASKS * preset["n_per_task"], shape.get("in_channels", 1), side, side)
        for dim in (REFERENCE_DIM, *DIMS):
            network = TAT(**{**shape, "dim": dim})
            counts[dim] = sum(p.numel() for p in network.parameters()), count_flop(network, patches)
    reference_flop = counts[REFERENCE_DIM][1]
    return [
        TrainedSize(dim, n_parameters, flop / 1e9, n_steps_for(flop, reference_flop, reference_steps), seed)
        for dim, (n_parameters, flop) in sorted(counts.items())
    ]


def read_size(folder: Path) -> TrainedSize:
    """Size that a run was trained with."""
    return TrainedSize(**json.loads((folder / SIZE_NAME).read_text(encoding="utf-8")))


def write_size(size: TrainedSize, folder: Path) -> None:
    """Write the size into the folder of its run."""
    write_json(folder / SIZE_NAME, asdict(size))


def train_and_score(size: TrainedSize, data: Path, folder: Path) -> None:
    """Train and score one width; the summary of the scores is written last."""
    training = Training(
        folder=folder,
        data=data,
        n_steps=size.n_steps,
        epoch_length=EPOCH_LENGTH,
        seed=size.seed,
        options=["--network_def#dim", size.dim],
    )
    try:
        claim(training, describe(training))
    except RefusedInputError as refusal:
        sys.exit(str(refusal))
    if not (folder / "eval" / "summary.json").exists():
        print(f"\n=== {folder.name}", flush=True)
        train(training)
        score(training, data / "datalist.json", "validation", folder / "eval")
    write_size(size, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and do all runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="prepared data (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/sizes"), help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=2000, help=f"steps of dim {REFERENCE_DIM} (default: %(default)s)")
    parser.add_argument("--only", nargs="+", type=int, choices=DIMS, default=DIMS, metavar="DIM", help=str(DIMS)[1:-1])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], help="default: 0 1")
    options = parser.parse_args(arguments)
    if options.steps < EPOCH_LENGTH or options.steps % EPOCH_LENGTH:
        parser.error(f"--steps is {options.steps}: pass a multiple of {EPOCH_LENGTH}")
    for size in (size for seed in options.seeds for size in measure_sizes(options.steps, seed)):
        if size.dim in options.only:
            train_and_score(size, options.data, options.out / size.name)


if __name__ == "__main__":
    main()
