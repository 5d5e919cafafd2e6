"""Show the results of size_search.py: a table in the benchmark's page, and a picture of gain against parameters."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from bundle.tat.evaluation.table import read_slices
from bundle.tat.optional import exit_if_missing
from bundle.tat.visualize.saving import save_figure
from scripts.benchmarks.documents import ROOT, fill, markdown
from scripts.benchmarks.size_search import SIZE_NAME, TrainedSize, read_size

TASKS = ("CT", "MRI", "PET")
# One task: case and index of a slice -> PSNR [dB].
Scores = Mapping[tuple[str, int], float]

with exit_if_missing("matplotlib", extra="report"):
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter


@dataclass(frozen=True)
class ScoredSize:
    """A width with its gains.

    Args:
        size: the trained network, with the first of its seeds.
        gains: task -> for each seed the mean over slices of PSNR minus that of the input [dB].
    """

    size: TrainedSize
    gains: dict[str, list[float]]

    @property
    def mean_gains(self) -> list[float]:
        """For each seed the mean over tasks [dB]; every task has the same weight, for any number of slices."""
        return [float(np.mean(of_tasks)) for of_tasks in zip(*self.gains.values(), strict=True)]


def read_run(folder: Path) -> tuple[dict[str, Scores], dict[str, Scores]]:
    """PSNR of every slice by task: of the restoration, and of the input."""
    found: dict[str, dict[str, dict[tuple[str, int], float]]] = {
        "restored": defaultdict(dict),
        "input": defaultdict(dict),
    }
    for row in read_slices(folder / "eval" / "slices.csv").rows:
        if row.method in found:
            found[row.method][row.modality][row.case, row.slice] = row.psnr
    return dict(found["restored"]), dict(found["input"])


def read_scored(out: Path) -> list[ScoredSize]:
    """Read the finished runs, smallest first, the seeds of a width together."""
    found: list[tuple[TrainedSize, dict[str, float]]] = []
    for summary in out.glob("*/eval/summary.json"):
        folder = summary.parents[1]
        restored, given = read_run(folder)
        gains = {t: float(np.mean([restored[t][place] - psnr for place, psnr in given[t].items()])) for t in TASKS}
        found.append((read_size(folder), gains))
    found.sort(key=lambda run: (run[0].n_parameters, run[0].seed))
    widths = [list(runs) for _, runs in groupby(found, key=lambda run: run[0].dim)]
    return [ScoredSize(runs[0][0], {task: [gains[task] for _, gains in runs] for task in TASKS}) for runs in widths]


def in_words(gains: Sequence[float]) -> str:
    """Mean over seeds, with their range where there are several."""
    mean = f"{np.mean(gains):+.2f}"
    return mean if len(gains) == 1 else f"{mean} ({min(gains):+.2f} to {max(gains):+.2f})"


def table(scored: Sequence[ScoredSize]) -> str:
    """Make a table of the sizes in Markdown."""
    head = [
        "dim",
        "parameters",
        "seeds",
        "steps",
        "GFLOP a step",
        *(f"{task} gain [dB]" for task in TASKS),
        "mean [dB]",
    ]
    rows = [
        [
            str(one.size.dim),
            f"{one.size.n_parameters:,}",
            str(len(one.mean_gains)),
            f"{one.size.n_steps:,}",
            f"{one.size.gflop_per_step:.1f}",
            *(in_words(one.gains[task]) for task in TASKS),
            in_words(one.mean_gains),
        ]
        for one in scored
    ]
    return markdown(head, rows)


def draw(scored: Sequence[ScoredSize]) -> Figure:
    """Plot gains against parameters: a line through the means for each task and one for all, a point for each seed."""
    figure = Figure(figsize=(6.5, 4.0), dpi=100, layout="constrained")
    axes = figure.subplots()
    parameters = [one.size.n_parameters for one in scored]
    lines = {task: [one.gains[task] for one in scored] for task in TASKS}
    for label, gains in {**lines, "mean of tasks": [one.mean_gains for one in scored]}.items():
        style = "-" if label in TASKS else "k--"
        (line,) = axes.plot(parameters, [float(np.mean(of_seeds)) for of_seeds in gains], style, label=label)
        for n_parameters, of_seeds in zip(parameters, gains, strict=True):
            axes.plot([n_parameters] * len(of_seeds), of_seeds, "o", color=line.get_color())
    axes.set_xscale("log")
    axes.set_xticks(parameters, [f"{one.size.n_parameters / 1e6:.2g} M\ndim {one.size.dim}" for one in scored])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("parameters")
    axes.set_ylabel("gain over the input in PSNR [dB]")
    axes.set_title("Equal compute of training, a point for each seed,\nvalidation split")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the finished runs, draw them, and put the table with the picture into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="output folder of size_search.py")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs/pictures/sizes.png", help="default: %(default)s")
    parser.add_argument("--document", type=Path, default=ROOT / "docs/benchmark.md", help="default: %(default)s")
    options = parser.parse_args(arguments)
    scored = read_scored(options.out)
    if not scored:
        sys.exit(f"{options.out} holds no run with {SIZE_NAME} and scores: run size_search.py first")
    save_figure(draw(scored), options.picture)
    shown = table(scored)
    link = options.picture.resolve().relative_to(options.document.resolve().parent).as_posix()
    fill([options.document], {"sizes": f"{shown}\n\n![gain against parameters]({link})"})
    print(shown)
    print(options.picture)


if __name__ == "__main__":
    main()
