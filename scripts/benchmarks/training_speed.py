"""Samples a second of training the small network on this computer's CPU, for several ways to use its cores.

All ways take turns within each repetition. A figure is the time of many steps less that of few, so that the start does
not count. Another build can take part, a work tree of the same repository:

    git worktree add ../base COMMIT
    python -m scripts.benchmarks.training_speed --base ../base
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Final

from bundle.tat.atomic import write_json
from scripts.benchmarks.busy import processor
from scripts.benchmarks.documents import ROOT
from scripts.benchmarks.fixed_budget import ENVIRONMENT

N_TASKS: Final = 3
FEW: Final = 2  # steps


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to train.

    Args:
        is_base: whether the other build trains.
        n_ranks: processes, which share a step.
        n_threads: of each.
        n_per_task: patches of each task in a step of a process.
        amp: products in bfloat16.
    """

    is_base: bool = False
    n_ranks: int = 1
    n_threads: int = 2
    n_per_task: int = 2
    amp: bool = False

    @property
    def n_samples(self) -> int:
        """Of a step."""
        return self.n_ranks * self.n_per_task * N_TASKS

    def command(self, data: Path, folder: Path, n_steps: int) -> list[str]:
        """What is run."""
        ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(self.n_ranks)]
        configs = ["train", "small", *(["multi_gpu_train"] if self.n_ranks > 1 else [])]
        ids = {
            "dataset_dir": data,
            "ckpt_dir": folder,
            "n_per_task": self.n_per_task,
            "epochs": 1,
            "epoch_length": n_steps,
            "val_interval": 1000,
            "log_interval": 1,
            "num_workers": 0,
            "amp": self.amp,
        }
        return [
            sys.executable,
            *(ranks if self.n_ranks > 1 else []),
            *("-m", "monai.bundle", "run", "--config_file", str([f"configs/{name}.json" for name in configs])),
            *(word for name, value in ids.items() for word in (f"--{name}", str(value))),
        ]


WAYS: Final[Mapping[str, Way]] = {
    "base": Way(is_base=True),
    "this build": Way(),
    "two processes, a step shared": Way(n_ranks=2, n_threads=1, n_per_task=1),
    "two processes, a step twice as large": Way(n_ranks=2, n_threads=1),
    "bfloat16": Way(amp=True),
    "two processes, a step shared, bfloat16": Way(n_ranks=2, n_threads=1, n_per_task=1, amp=True),
}


def run(way: Way, build: Path, data: Path, n_steps: int) -> tuple[float, float]:
    """Wall time of a training [s], and the mean loss of its last ten steps.

    Raises:
        subprocess.CalledProcessError: the build could not train.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        threads = {"OMP_NUM_THREADS": str(way.n_threads), "PYTHONPATH": str(build)}
        start = time.monotonic()
        subprocess.run(
            way.command(data.resolve(), folder, n_steps),
            cwd=build,
            env=os.environ | ENVIRONMENT | threads,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        seconds = time.monotonic() - start
        with (folder / "training_log.csv").open(newline="", encoding="utf-8") as file:
            losses = {row["iteration"]: float(row["loss"]) for row in csv.DictReader(file)}
    return seconds, fmean([*losses.values()][-10:])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each way; print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="work tree of another build, which the others are compared with")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of make data (default: data)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, metavar="WAY", help="default: all that can run")
    parser.add_argument("--samples", type=int, default=240, help="of a long run (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="runs of each (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("eval/speed_training.json"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    if options.base is None and any(WAYS[name].is_base for name in options.ways or ()):
        parser.error("--ways base trains with another build, but --base is missing: pass --base FOLDER or leave it out")
    print(processor())
    rates: dict[str, list[float]] = defaultdict(list)
    losses: dict[str, list[float]] = defaultdict(list)
    chosen = options.ways or [name for name, way in WAYS.items() if options.base or not way.is_base]
    ways = {name: way for name, way in WAYS.items() if name in chosen}
    for name, way in list(ways.items()) * options.repetitions:
        build = options.base.resolve() if way.is_base else ROOT
        n_steps = options.samples // way.n_samples
        few, _ = run(way, build, options.data, FEW)
        many, loss = run(way, build, options.data, n_steps)
        rates[name].append((n_steps - FEW) * way.n_samples / (many - few))
        losses[name].append(loss)
        print(f"{name}: {rates[name][-1]:.1f} samples/s, loss {loss:.4f}", flush=True)
    rows = [
        {
            "way": name,
            "samples_per_second": [median(values), min(values), max(values)],
            "ratio": median(values) / median(rates[next(iter(ways))]),
            "loss": fmean(losses[name]),
        }
        for name, values in rates.items()
    ]
    for row in rows:
        print(row)
    write_json(options.out, {"processor": processor(), "repetitions": options.repetitions, "rows": rows})


if __name__ == "__main__":
    main()
