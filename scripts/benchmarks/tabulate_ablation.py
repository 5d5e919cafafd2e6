"""Show the ablation runs, in the benchmark's page too: gain over the input by task, and each against TAT by slice."""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bundle.tat.evaluation.statistics import compare
from bundle.tat.evaluation.table import read_slices
from scripts.benchmarks.documents import ROOT, fill, markdown

# Of one task: case and index of a slice -> PSNR [dB].
Scores = Mapping[tuple[str, int], float]
REFERENCE = "tat"
TASKS = ("CT", "MRI", "PET")


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


def mean_over_seeds(runs: Sequence[Mapping[str, Scores]], task: str) -> Scores:
    """Each slice's PSNR, averaged over the runs."""
    return {place: float(np.mean([run[task][place] for run in runs])) for place in runs[0][task]}


def gain_cell(runs: Sequence[Mapping[str, Scores]], inputs: Mapping[str, Scores], task: str) -> str:
    """Mean gain [dB], and its range over the seeds."""
    if task not in runs[0]:
        return "-"
    gains = [np.mean([run[task][place] - psnr for place, psnr in inputs[task].items()]) for run in runs]
    spread = f" ({min(gains):+.2f} to {max(gains):+.2f})" if len(gains) > 1 else ""
    return f"{np.mean(gains):+.2f}{spread}"


def difference_cell(runs: Sequence[Mapping[str, Scores]], reference: Sequence[Mapping[str, Scores]], task: str) -> str:
    """Mean difference to TAT [dB] with its interval and p-value, over slices."""
    if task not in runs[0]:
        return "-"
    ours, theirs = (mean_over_seeds(group, task) for group in (runs, reference))
    places = sorted(ours)
    pairs = [np.array([scores[place] for place in places]) for scores in (ours, theirs)]
    found = compare(*pairs, [case for case, _ in places])
    interval = f" [{found.interval.low:+.2f}, {found.interval.high:+.2f}]" if found.interval else ""
    return f"{found.mean_difference:+.2f}{interval}, p {found.test.p:.2g}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the finished runs, and put both tables into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder that ablation.py wrote to")
    parser.add_argument("--document", type=Path, default=ROOT / "docs/benchmark.md", help="default: %(default)s")
    parser.add_argument("--section", default="ablation", help="of the document, by its marks (default: %(default)s)")
    options = parser.parse_args(arguments)
    groups: dict[str, list[dict[str, Scores]]] = defaultdict(list)
    inputs: dict[str, Scores] = {}
    for summary in sorted(options.out.glob("*/eval/summary.json")):
        restored, given = read_run(summary.parents[1])
        groups[re.sub(r"_\d+$", "", summary.parents[1].name)].append(restored)
        inputs.update(given)
    if REFERENCE not in groups:
        parser.error(f"{options.out} holds no finished run of {REFERENCE}")
    gains = [
        [name, str(len(runs)), *(gain_cell(runs, inputs, task) for task in TASKS)] for name, runs in groups.items()
    ]
    differences = [
        [name, *(difference_cell(runs, groups[REFERENCE], task) for task in TASKS)]
        for name, runs in groups.items()
        if name != REFERENCE
    ]
    tables = [
        markdown(["run", "seeds", *(f"{task} gain [dB]" for task in TASKS)], gains),
        markdown([f"minus {REFERENCE}", *(f"{task} [dB]" for task in TASKS)], differences),
    ]
    fill([options.document], {options.section: "\n\n".join(tables)})
    print(*tables, sep="\n\n")


if __name__ == "__main__":
    main()
