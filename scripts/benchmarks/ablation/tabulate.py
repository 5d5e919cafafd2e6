"""Show the finished runs, those of the repository also in its pages: cost, gain, and differences between arms.

A person's value is the mean over that person's scans. Differences are between runs with the same seed, which saw the
same patches. They are averaged over the seeds. A p-value is from Wilcoxon's test over persons, if there are five or
more.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np

from bundle.tat.evaluation.statistics import paired_wilcoxon
from bundle.tat.evaluation.unit_of_analysis import MIN_UNITS
from scripts.benchmarks.ablation.arms import ARMS
from scripts.benchmarks.ablation.result import CaseScore, Result, read_results
from scripts.benchmarks.ablation.scored import SECTIONS
from scripts.benchmarks.ablation.train import RESULTS
from scripts.benchmarks.documents import ROOT, fill, markdown

TASKS: Final = ("CT", "MRI", "PET")
# Of the runs of the repository: what they say, and the differences of each person.
PAGES: Final = (ROOT / "docs" / "benchmark.md", RESULTS / "README.md")
# Arm -> seed -> run.
Runs = Mapping[str, Mapping[int, Result]]
# Person -> value.
OfPersons = Mapping[str, float]


def by_arm(results: Iterable[Result]) -> dict[str, dict[int, Result]]:
    """The runs of each arm by seed, arms in the order in which they are described."""
    found: dict[str, dict[int, Result]] = {name: {} for name in ARMS}
    for result in results:
        found[result.record.arm][result.record.seed] = result
    return {name: of_seeds for name, of_seeds in found.items() if of_seeds}


def over_persons(scores: Iterable[CaseScore]) -> OfPersons:
    """Gain of PSNR of each person [dB]."""
    gains: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        gains[score.subject].append(score.gain)
    return {person: fmean(values) for person, values in sorted(gains.items())}


def gains_of(run: Result, task: str, sections: Sequence[str] = SECTIONS) -> OfPersons:
    """Gain of each person in one task [dB]; empty for a task that was not trained."""
    return over_persons(score for score in run.scores if score.modality == task and score.section in sections)


def differences(runs: Mapping[int, Result], others: Mapping[int, Result], task: str) -> OfPersons:
    """Difference of each person's gain between two arms [dB], as the mean over the seeds that both have."""
    pairs = [(gains_of(runs[seed], task), gains_of(others[seed], task)) for seed in sorted(runs.keys() & others.keys())]
    persons = sorted({person for ours, theirs in pairs for person in ours.keys() & theirs.keys()})
    return {person: fmean(ours[person] - theirs[person] for ours, theirs in pairs) for person in persons}


def spread(values: Sequence[float]) -> str:
    """Mean, with the range of several values."""
    return f"{fmean(values):+.2f}" + (f" ({min(values):+.2f} to {max(values):+.2f})" if len(values) > 1 else "")


def table_of_costs(runs: Runs) -> str:
    """Description and cost of each arm."""
    rows = []
    for name, of_seeds in runs.items():
        records = [result.record for result in of_seeds.values()]
        minutes = [record.cpu_seconds / 60 for record in records if record.cpu_seconds is not None]
        rows.append(
            [
                name,
                ARMS[name].words,
                f"{records[0].n_parameters:,}",
                f"{records[0].gflop_per_step:.1f}",
                f"{records[0].n_steps:,}",
                ", ".join(map(str, sorted(of_seeds))),
                f"{fmean(minutes):.0f}" if minutes else "-",
            ]
        )
    head = ["arm", "what it is", "parameters", "GFLOP a step", "steps", "seeds", "core-minutes of a run"]
    return markdown(head, rows)


def table_of_gains(runs: Runs) -> str:
    """Gain over the degraded image, the mean over persons, with its range over seeds."""
    columns = [(section, task) for section in SECTIONS for task in TASKS]
    rows = []
    for name, of_seeds in runs.items():
        cells = []
        for section, task in columns:
            values = [fmean(gains.values()) for run in of_seeds.values() if (gains := gains_of(run, task, [section]))]
            cells.append(spread(values) if values else "-")
        rows.append([name, *cells])
    return markdown(["gain over the image [dB]", *(f"{task}, {section}" for section, task in columns)], rows)


def verdict(found: OfPersons) -> str:
    """Mean difference with its range over persons, the number of persons above 0, and the p-value."""
    if not found:
        return "-"
    values = np.array(list(found.values()))
    n_better = int((values > 0).sum())
    enough = len(values) >= MIN_UNITS
    chance = f"p {paired_wilcoxon(values, np.zeros_like(values)).p:.2g}" if enough else "too few for p"
    return f"{spread(list(found.values()))}, better for {n_better} of {len(values)}, {chance}"


def pairs_of(runs: Runs) -> list[tuple[str, str]]:
    """Each arm with its reference arm, if both have a seed in common."""
    pairs = [(name, ARMS[name].reference) for name in runs]
    return [(arm, other) for arm, other in pairs if arm != other and runs[arm].keys() & runs.get(other, {}).keys()]


def table_of_differences(runs: Runs) -> str:
    """Differences between each arm and its reference arm."""
    rows = []
    for arm, reference in pairs_of(runs):
        ours, others = runs[arm], runs[reference]
        n_seeds = len(ours.keys() & others.keys())
        rows.append([arm, reference, str(n_seeds), *(_difference(ours, others, task) for task in TASKS)])
    return markdown(["arm", "minus", "seeds", *(f"{task} [dB]" for task in TASKS)], rows)


def _difference(ours: Mapping[int, Result], others: Mapping[int, Result], task: str) -> str:
    """Verdict over persons and, of several seeds, the mean of each."""
    seeds = sorted(ours.keys() & others.keys())
    of_seeds = [differences({seed: ours[seed]}, others, task) for seed in seeds]
    words = verdict(differences(ours, others, task))
    if len(seeds) < 2 or not all(of_seeds):
        return words
    return f"{words}; by seed {', '.join(f'{fmean(found.values()):+.2f}' for found in of_seeds)}"


def table_of_persons(runs: Runs) -> str:
    """The same differences by person."""
    rows: list[tuple[str, str, OfPersons]] = []
    for arm, reference in pairs_of(runs):
        of_tasks = [(task, differences(runs[arm], runs[reference], task)) for task in TASKS]
        rows.extend((f"{arm} minus {reference}", task, found) for task, found in of_tasks if found)
    persons = sorted({person for _, _, found in rows for person in found})
    cells = [[what, task, *(f"{f[p]:+.2f}" if p in f else "" for p in persons)] for what, task, f in rows]
    return markdown(["difference [dB]", "task", *persons], cells)


def provenance(runs: Runs) -> str:
    """Code that the runs were made with."""
    commits = sorted({result.record.commit for of_seeds in runs.values() for result in of_seeds.values()})
    n_runs = sum(len(of_seeds) for of_seeds in runs.values())
    return f"{n_runs} runs, made with commit {', '.join(f'`{commit}`' for commit in commits)}."


def tables(runs: Runs, folder: str = "") -> dict[str, str]:
    """Tables by the mark that they stand at.

    Args:
        runs: finished runs.
        folder: name of their folder inside ``docs/ablation``; empty for those in ``docs/ablation`` itself.
    """
    compared = [table_of_differences(runs)] if pairs_of(runs) else []
    summary = "\n\n".join([provenance(runs), table_of_costs(runs), table_of_gains(runs), *compared])
    if folder:
        return {f"adapting_{folder}": summary}
    return {"adapting": summary, **({"adapting_persons": table_of_persons(runs)} if compared else {})}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the finished runs; print their tables, and put those of the repository's runs into its pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="finished runs (default: docs/ablation)")
    parser.add_argument(
        "--pages",
        nargs="+",
        type=Path,
        metavar="PAGE",
        help="pages with marks for the tables (default: of runs in docs/ablation, the pages there and the benchmark's)",
    )
    options = parser.parse_args(arguments)
    runs = by_arm(read_results(options.results))
    if not runs:
        parser.error(f"{options.results} holds no finished run: run scripts.benchmarks.ablation.train first")
    results = options.results.resolve()
    is_inside = RESULTS.resolve() in results.parents
    found = tables(runs, results.name if is_inside else "")
    print("\n\n".join(found.values()))
    if pages := options.pages or (PAGES if is_inside or results == RESULTS.resolve() else ()):
        fill(pages, found)


if __name__ == "__main__":
    main()
