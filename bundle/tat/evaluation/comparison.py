"""Comparing two evaluations of the same slices: mean difference, bootstrap interval and Wilcoxon test by task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bundle.tat.evaluation.statistics import LEVEL, Comparison
from bundle.tat.evaluation.summary import compare_tables
from bundle.tat.evaluation.table import SliceTable, read_slices

NOTE: Final = """Differences are the first run minus the second: higher is better for PSNR and SSIM, lower for RMSE. The
p-values are two-sided and not corrected for the number of comparisons. The number n counts cases, or subjects where the
first table names them. A task with few cases is compared over slices. Slices of one case are not independent, so the
intervals and p-values of such a task are too small."""


def compare_runs(first: str | Path, second: str | Path, seed: int = 0) -> str:
    """Compare the restorations of two evaluations of the same slices; needs scipy.

    Args:
        first: ``slices.csv`` of one evaluation.
        second: ``slices.csv`` of the evaluation that is subtracted.
        seed: of the bootstrap.

    Returns:
        The origin of both tables, and one line for each task and score, as text.

    Raises:
        RefusedInputError: a table cannot be read, protocols differ, or the scored slices differ.
        ImportError: scipy is not installed.
    """
    paths = {"first": Path(first), "second": Path(second)}
    tables = {name: read_slices(path) for name, path in paths.items()}
    comparisons = compare_tables(tables["first"], tables["second"], seed=seed)
    units = {row.modality: row.unit for row in tables["first"].rows}
    heads = [f"{name}: {_describe(path, tables[name])}" for name, path in paths.items()]
    return "\n".join([*heads, "", *_lay_out(comparisons, units), "", NOTE])


def _describe(path: Path, table: SliceTable) -> str:
    record = table.record
    weights = f"weights {(record.provenance.weights_sha256 or 'not known')[:12]}"
    planes = f", {record.planes}" if table.has_pet else ""
    return f"{path}, {record.protocol}, {weights}, {record.datalist} ({record.section}){planes}"


def _lay_out(comparisons: Mapping[str, Mapping[str, Comparison]], units: Mapping[str, str]) -> Iterator[str]:
    """A heading, and one line for each task and score."""
    header = f"{'difference':>12}  {f'{LEVEL:.0%} interval':<24}{'p':>9}{'n':>6}{'differ':>8}  over"
    yield f"{'task':<6}{'score':<13}{header}"
    for task, scores in comparisons.items():
        names = {"psnr": "PSNR [dB]", "ssim": "SSIM", "rmse": f"RMSE [{units[task]}]"}
        for score, comparison in scores.items():
            ends, test = comparison.interval, comparison.test
            interval = f"[{ends.low:+.4f}, {ends.high:+.4f}]" if ends else "-"
            yield (
                f"{task:<6}{names[score]:<13}{comparison.mean_difference:+12.4f}  {interval:<24}"
                f"{test.p:9.2g}{test.n_pairs:6d}{test.n_different:8d}  {comparison.unit}"
            )
