"""Scoring restored files against their clean images, beside the input itself and the best plain Gaussian."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bundle.tat.evaluation.baseline_filters import find_filters
from bundle.tat.evaluation.cases import read_cases
from bundle.tat.evaluation.scoring import (
    INPUT,
    RESTORED,
    MethodResult,
    find_unscored,
    keep_best,
    mean_over_slices,
    score_case,
)
from bundle.tat.evaluation.table import case_rows, write_csv
from bundle.tat.modality import EVALUATION_WINDOWS, Modality
from bundle.tat.transforms.scale.mri_scale import MriScale

GAUSSIAN: Final = "gaussian"
METHODS: Final = (INPUT, GAUSSIAN, RESTORED)
COLUMNS: Final = (
    *("modality", "case", "method", "psnr", "ssim", "rmse", "unit", "n_slices", "n_constant", "sigma"),
    "mri_scale",
)
NOTE: Final = """\
Scores are means over slices in the paper's evaluation windows. A positive gain is better than the input. The
Gaussian's sigma is the best one for these data (an oracle): no other in-plane Gaussian does better."""


def score_restored(
    datalist: str | Path,
    restored: str | Path,
    table: str | Path,
    section: str = "testing",
    mri_scale: MriScale = "fixed",
) -> str:
    """Score restored files in the same way as an evaluation of a network.

    If no slice of a case can be scored, its rows for ``input`` and ``restored`` have no scores, and the text names it.

    Args:
        datalist: JSON datalist with clean images; paths in it are relative to it.
        restored: output folder of the inference.
        table: CSV file to write, one row for each case and method: means over slices.
        section: section of the datalist.
        mri_scale: as in an evaluation: MRI is scored on the scale of training.

    Returns:
        The means of each modality and their gains over the input, as text.

    Raises:
        RefusedInputError: a file is missing or cannot be scored, no case can be scored, or the table cannot be written.
    """
    filters = find_filters([GAUSSIAN])
    cases = read_cases(Path(datalist), section, Path(restored), mri_scale=mri_scale)
    results = _in_order(keep_best(result for case in cases for result in score_case(case, filters)))
    unscored = find_unscored(results)
    rows = ({**row, "sigma": row["parameter"], "mri_scale": mri_scale} for row in case_rows(results))
    write_csv(Path(table), [{name: row[name] for name in COLUMNS} for row in rows])
    lines: list[str] = []
    for modality in dict.fromkeys(result.modality for result in results):
        lines += ["", *_describe([result for result in results if result.modality is modality], modality)]
    if unscored:
        names = ", ".join(result.case for result in unscored)
        lines += [
            "",
            f"scans without a score (constant label in every slice): {len(unscored)}, {names}",
        ]
    return "\n".join([*lines, "", NOTE])


def _in_order(results: Sequence[MethodResult]) -> list[MethodResult]:
    """One modality after the other, each of its cases with all methods, in the order of the datalist."""
    modalities = list(dict.fromkeys(result.modality for result in results))
    cases = list(dict.fromkeys((result.modality, result.case) for result in results))
    return sorted(
        results,
        key=lambda result: (
            modalities.index(result.modality),
            cases.index((result.modality, result.case)),
            METHODS.index(result.method),
        ),
    )


def _describe(results: Sequence[MethodResult], modality: Modality) -> Iterator[str]:
    """Lines about one modality: counts, then the means of each method and their gains over the input."""
    inputs = [result for result in results if result.method == INPUT]
    n_slices = sum(result.means.n_slices for result in inputs)
    n_constant = sum(result.means.n_constant for result in inputs)
    n_scans = sum(bool(result.slices) for result in inputs)
    yield f"{modality.value}: {n_slices} slices in {n_scans} scans, {n_constant} more not scored (constant label)"
    if not n_slices:
        return
    rmse = f"RMSE [{EVALUATION_WINDOWS[modality].unit}]"
    yield f"{'':18}{'PSNR [dB]':>11}{'gain':>9}{'SSIM':>11}{'gain':>9}{rmse:>13}{'gain':>9}"
    for method in METHODS:
        of_method = [result for result in results if result.method == method and result.slices]
        parameter = of_method[0].parameter
        line = f"{method:<18}" if parameter is None else f"{method} {parameter:g} px".ljust(18)
        for score, width, digits, sign in (("psnr", 11, 2, 1), ("ssim", 11, 4, 1), ("rmse", 13, 3, -1)):
            mean, of_input = (mean_over_slices(some, score) for some in (of_method, inputs))
            line += f"{mean:{width}.{digits}f}{sign * mean - sign * of_input:+9.{digits}f}"
        yield line
