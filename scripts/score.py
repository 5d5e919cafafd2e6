"""Score restored scans against their clean images, beside the input itself and the best plain Gaussian."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bundle.tat.evaluation.cases import read_cases
from bundle.tat.evaluation.gaussian import MethodScores, compare_methods
from bundle.tat.evaluation.table import write_csv
from bundle.tat.modality import EVALUATION_WINDOWS
from bundle.tat.refusal import RefusedInputError

COLUMNS = ("modality", "case", "method", "psnr", "ssim", "rmse", "unit", "n_slices", "n_constant", "sigma")
NOTE = """Scores are means over slices in the paper's evaluation windows; a gain is positive where it is better than the
input. The Gaussian's sigma is the best one for these very data (an oracle): no plain in-plane Gaussian does better."""


def as_row(row: MethodScores) -> dict[str, object]:
    """One line of the table, its columns in order."""
    who = {"modality": row.modality.value, "case": row.case, "method": row.method, "sigma": row.sigma}
    cells = {**who, "unit": EVALUATION_WINDOWS[row.modality].unit, **asdict(row.scores)}
    return {name: cells[name] for name in COLUMNS}


def mean(rows: Sequence[MethodScores], name: str) -> float:
    """Mean of a score over all slices of all cases, as the paper averages."""
    n_slices = sum(row.scores.n_slices for row in rows)
    return float(sum(getattr(row.scores, name) * row.scores.n_slices for row in rows) / n_slices)


def print_means(rows: Sequence[MethodScores], modality: str, unit: str) -> None:
    """Print the means of one modality and their gains over the input."""
    methods = {row.method: [other for other in rows if other.method == row.method] for row in rows}
    inputs = methods["input"]
    n_slices, n_constant = (sum(getattr(row.scores, name) for row in inputs) for name in ("n_slices", "n_constant"))
    print(f"\n{modality}: {n_slices} slices in {len(inputs)} scans, {n_constant} more not scored (constant label)")
    print(f"{'':18}{'PSNR [dB]':>11}{'gain':>9}{'SSIM':>11}{'gain':>9}{f'RMSE [{unit}]':>13}{'gain':>9}")
    for method, chosen in methods.items():
        line = f"{method:<18}" if chosen[0].sigma is None else f"{method} {chosen[0].sigma:g} px".ljust(18)
        for name, width, digits, sign in (("psnr", 11, 2, 1), ("ssim", 11, 4, 1), ("rmse", 13, 3, -1)):
            gain = sign * mean(chosen, name) - sign * mean(inputs, name)
            line += f"{mean(chosen, name):{width}.{digits}f}{gain:+9.{digits}f}"
        print(line)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, score, write the table and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=NOTE)
    parser.add_argument("--datalist", type=Path, required=True, help="JSON datalist; paths in it are relative to it")
    parser.add_argument("--section", default="testing", help="section of the datalist (default: %(default)s)")
    parser.add_argument("--restored", type=Path, required=True, help="folder that the inference wrote to")
    parser.add_argument("--table", type=Path, required=True, help="CSV file to write")
    options = parser.parse_args(arguments)
    try:
        rows = compare_methods(read_cases(options.datalist, options.section, options.restored))
    except RefusedInputError as error:
        sys.exit(str(error))
    write_csv(options.table, [as_row(row) for row in rows])
    for modality in dict.fromkeys(row.modality for row in rows):
        group = [row for row in rows if row.modality is modality]
        print_means(group, modality.value, EVALUATION_WINDOWS[modality].unit)
    print(f"\n{NOTE}")


if __name__ == "__main__":
    main()
