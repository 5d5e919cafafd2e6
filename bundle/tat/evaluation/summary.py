"""Summary of many scores by task: the mean of each method, and its difference to the restoration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from bundle.tat.evaluation.scoring import INPUT, RESTORED, SCORES, VOLUME_DATA_RANGE, VOLUME_PROTOCOL, MethodResult
from bundle.tat.evaluation.statistics import LEVEL, N_RESAMPLES, Comparison, compare, describe
from bundle.tat.evaluation.table import EvaluationRecord, SliceRow, SliceTable, slice_rows
from bundle.tat.evaluation.unit_of_analysis import MIN_UNITS, Numbers, unit_of_analysis
from bundle.tat.modality import EVALUATION_WINDOWS
from bundle.tat.refusal import RefusedInputError

# Number of slices that a refusal names; it counts the others.
N_NAMES_SHOWN: Final = 3

Key = tuple[str, int]


def summarise(
    results: Sequence[MethodResult], record: EvaluationRecord, *, other: SliceTable | None = None, seed: int = 0
) -> dict[str, Any]:
    """Describe every method by task and compare the restoration with the others; needs scipy.

    Args:
        results: of all cases, one parameter for each filter and case.
        record: of the slice scores.
        other: table of another run on the same cases, to compare the restoration with.
        seed: of the bootstrap.

    Returns:
        Content of ``summary.json``; docs/concepts/evaluation.md explains every entry.

    Raises:
        RefusedInputError: the other run has another protocol or other slices.
        ImportError: scipy is not installed.
    """
    rows = slice_rows(results)
    against_run = {} if other is None else compare_tables(SliceTable(record, rows), other, seed=seed)
    summary: dict[str, Any] = {
        **record.columns(),
        "volume_protocol": VOLUME_PROTOCOL,
        "volume_data_range": VOLUME_DATA_RANGE,
        "compared_to": other and other.record.columns(),
        "statistics": {
            "interval": "percentile bootstrap of the mean",
            "level": LEVEL,
            "n_resamples": N_RESAMPLES,
            "seed": seed,
            "test": "Wilcoxon signed-rank, two-sided, pairs without a difference left out, not corrected",
            "unit": f"the coarsest of subjects, cases and slices of which a task has {MIN_UNITS} or more",
        },
        "tasks": {},
    }
    for modality in dict.fromkeys(result.modality.value for result in results):
        task = _summarise_task([result for result in results if result.modality == modality], seed)
        if modality in against_run:
            task["restored_against"]["other_run"] = _plain(against_run[modality])
        summary["tasks"][modality] = task
    return summary


def compare_tables(table: SliceTable, other: SliceTable, *, seed: int = 0) -> dict[str, dict[str, Comparison]]:
    """Compare the restorations of two runs on the same slices; needs scipy.

    Args:
        table: the first run.
        other: the run to subtract.
        seed: of the bootstrap.

    Returns:
        By modality and score, the first run's minus the other's.

    Raises:
        RefusedInputError: the runs have different protocols, or did not score the same slices of the same cases.
        ImportError: scipy is not installed.
    """
    check_protocol(table.record, other.record)
    restored, others = (_by_task(one.rows, RESTORED) for one in (table, other))
    names = [{(task, *key) for task, rows in one.items() for key in rows} for one in (restored, others)]
    different = sorted(names[0] ^ names[1])
    if different:
        shown = ", ".join(f"{task} {case} slice {index}" for task, case, index in different[:N_NAMES_SHOWN])
        raise RefusedInputError(
            f"{len(different)} slices are scored in one run only ({shown}{', ...' if len(different) > 3 else ''}): "
            "evaluate both runs on the same section of the same datalist"
        )
    return {task: _compare(restored[task], others[task], seed) for task in restored}


def check_protocol(record: EvaluationRecord, other: EvaluationRecord) -> None:
    """Refuse to compare scores with different meanings.

    Args:
        record: of one run.
        other: of another.

    Raises:
        RefusedInputError: their protocols or their scales of MRI differ.
    """
    if record.protocol != other.protocol:
        raise RefusedInputError(
            f"protocols {record.protocol} and {other.protocol} give numbers that are not comparable: "
            "evaluate both runs with one version of the bundle"
        )
    if record.mri_scale != other.mri_scale:
        raise RefusedInputError(
            f"mri_scale {record.mri_scale} and {other.mri_scale} give errors of MRI on different scales: "
            "evaluate both runs with the same mri_scale"
        )


def known_subjects(items: Sequence[MethodResult] | Sequence[SliceRow]) -> list[str] | None:
    """Subjects of results or slices.

    Args:
        items: of one modality.

    Returns:
        The subject of each item; ``None`` where one has no subject, or where there is no item.
    """
    subjects = [item.subject for item in items if item.subject is not None]
    return subjects if subjects and len(subjects) == len(items) else None


def _summarise_task(results: Sequence[MethodResult], seed: int) -> dict[str, Any]:
    scored = [result for result in results if result.slices]
    rows = slice_rows(scored)
    by_method = {method: _by_key(rows, method) for method in dict.fromkeys(row.method for row in rows)}
    of_all, inputs = ([result for result in some if result.method == INPUT] for some in (results, scored))
    subjects = known_subjects(inputs)
    return {
        "unit": EVALUATION_WINDOWS[of_all[0].modality].unit,
        "n_subjects": subjects and len(set(subjects)),
        "n_cases": len(inputs),
        "n_unscored": len(of_all) - len(inputs),
        "n_slices": sum(result.means.n_slices for result in of_all),
        "n_constant": sum(result.means.n_constant for result in of_all),
        "statistics_over": unit_of_analysis([result.case for result in inputs], subjects),
        "methods": {
            method: _describe([result for result in scored if result.method == method], seed) for method in by_method
        },
        "restored_against": {
            method: _plain(_compare(by_method[RESTORED], by_method[method], seed))
            for method in by_method
            if method != RESTORED
        },
    }


def _describe(results: Sequence[MethodResult], seed: int) -> dict[str, Any]:
    """One method on one task: its slices, and its volumes as one image each."""
    rows, volumes = slice_rows(results), [result.volume for result in results]
    by_slice, by_volume = (([item.case for item in some], known_subjects(some)) for some in (rows, results))
    parameters = {result.parameter for result in results}
    return {
        "parameter": parameters.pop() if len(parameters) == 1 else None,
        "slices": {score: asdict(describe(_numbers(rows, score), *by_slice, seed=seed)) for score in SCORES},
        "volumes": {score: asdict(describe(_numbers(volumes, score), *by_volume, seed=seed)) for score in SCORES},
    }


def _compare(rows: Mapping[Key, SliceRow], others: Mapping[Key, SliceRow], seed: int) -> dict[str, Comparison]:
    keys = sorted(rows)
    one, two = ([table[key] for key in keys] for table in (rows, others))
    origins = [row.case for row in one], known_subjects(one)
    return {score: compare(_numbers(one, score), _numbers(two, score), *origins, seed=seed) for score in SCORES}


def _numbers(items: Iterable[object], score: str) -> Numbers:
    return np.array([getattr(item, score) for item in items], dtype=np.float64)


def _plain(comparisons: Mapping[str, Comparison]) -> dict[str, Any]:
    return {score: asdict(comparison) for score, comparison in comparisons.items()}


def _by_task(rows: Iterable[SliceRow], method: str) -> dict[str, dict[Key, SliceRow]]:
    rows = list(rows)
    tasks = dict.fromkeys(row.modality for row in rows)
    return {task: _by_key((row for row in rows if row.modality == task), method) for task in tasks}


def _by_key(rows: Iterable[SliceRow], method: str) -> dict[Key, SliceRow]:
    return {(row.case, row.slice): row for row in rows if row.method == method}
