"""Compare two evaluations of the same slices: mean difference, bootstrap interval and Wilcoxon test by task."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bundle.tat.evaluation.statistics import LEVEL, Comparison
from bundle.tat.evaluation.summary import compare_tables
from bundle.tat.evaluation.table import SliceTable, read_slices
from bundle.tat.refusal import RefusedInputError

NOTE = """Differences are the first run minus the second: higher is better for PSNR and SSIM, lower for RMSE. The
p-values are two-sided and not corrected for the number of comparisons. Over cases, or over subjects where the first
table names them, n is their number; a task of few cases is compared over slices, which resemble each other within a
case: its intervals and p-values are too small."""


def show(comparisons: Mapping[str, Mapping[str, Comparison]], units: Mapping[str, str]) -> None:
    """Print one line for each task and score."""
    header = f"{'difference':>12}  {f'{LEVEL:.0%} interval':<24}{'p':>9}{'n':>6}{'differ':>8}  over"
    print(f"{'task':<6}{'score':<13}{header}")
    for task, scores in comparisons.items():
        names = {"psnr": "PSNR [dB]", "ssim": "SSIM", "rmse": f"RMSE [{units[task]}]"}
        for score, comparison in scores.items():
            ends = comparison.interval
            interval = f"[{ends.low:+.4f}, {ends.high:+.4f}]" if ends else "-"
            test = comparison.test
            print(
                f"{task:<6}{names[score]:<13}{comparison.mean_difference:+12.4f}  {interval:<24}"
                f"{test.p:9.2g}{test.n_pairs:6d}{test.n_different:8d}  {comparison.unit}"
            )


def describe(name: str, path: Path, table: SliceTable) -> str:
    """One line about where a run's numbers come from."""
    origin = table.provenance
    weights = f"weights {origin.weights_sha256[:12]}"
    return f"{name}: {path}, {origin.protocol}, {weights}, {origin.datalist} ({origin.section})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=NOTE)
    parser.add_argument("first", type=Path, help="slices.csv of one evaluation")
    parser.add_argument("second", type=Path, help="slices.csv of the evaluation to subtract")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        tables = [read_slices(path) for path in (options.first, options.second)]
        comparisons = compare_tables(*tables, seed=options.seed)
    except (RefusedInputError, ImportError) as error:
        sys.exit(str(error))
    print(describe("first", options.first, tables[0]))
    print(describe("second", options.second, tables[1]) + "\n")
    show(comparisons, {row.modality: row.unit for row in tables[0].rows})
    print(f"\n{NOTE}")


if __name__ == "__main__":
    main()
