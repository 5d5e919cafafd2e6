"""Pictures of a diagnosis: gradient cosines, task representations, the course of training."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from bundle.tat.diagnosis.gradients import GROUPS, GradientCosine
from bundle.tat.diagnosis.readout import Readout
from bundle.tat.diagnosis.representation import GeneratedSize, PrincipalComponents
from bundle.tat.refusal import RefusedInputError

# Colours of Okabe and Ito, which colour-blind readers can distinguish, and a marker for each.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS: Final = ("o", "s", "^", "D", "v")
# Column of a task's PSNR in the log of the validations, before the name of the task.
VALIDATION_PSNR: Final = "val_psnr_"
# A line goes through the median of a logged step and this number of steps before and after it.
MEDIAN_REACH: Final = 7


@dataclass(frozen=True)
class TaskCurve:
    """The course of training of one task.

    Args:
        iterations: logged steps, ascending.
        errors: mean absolute error of the step's samples, on the network's scale [0, 1].
        weights: mean factor that the loss multiplied their errors by.
    """

    iterations: list[int]
    errors: list[float]
    weights: list[float]


def read_training_log(path: Path) -> dict[str, TaskCurve]:
    """Read the ``training_log.csv`` that training writes.

    Args:
        path: the file; the columns ``iteration``, ``task``, ``error`` and ``weight`` are read.

    Returns:
        Task -> its curve.

    Raises:
        RefusedInputError: the file cannot be read, lacks a column or a row, or holds a value that is not positive.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                (row["task"], int(row["iteration"]), float(row["error"]), float(row["weight"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RefusedInputError(
            f"{path} is no training log ({type(error).__name__}: {error}): pass training_log.csv"
        ) from error
    bad = [row for row in rows if not all(math.isfinite(value) and value > 0 for value in row[2:])]
    if bad or not rows:
        raise RefusedInputError(
            f"{path}: {len(bad)} of {len(rows)} rows hold no positive error and weight: pass the unchanged file"
        )
    curves = {}
    for task in sorted({row[0] for row in rows}):
        _, iterations, errors, weights = zip(*sorted(row for row in rows if row[0] == task), strict=True)
        curves[task] = TaskCurve(list(iterations), list(errors), list(weights))
    return curves


def read_validation_log(path: Path) -> dict[str, dict[int, float]]:
    """Read the ``validation_log.csv`` that training writes.

    Args:
        path: the file; the column ``epoch`` and the columns of the tasks' PSNR are read.

    Returns:
        Task -> epoch -> PSNR [dB].

    Raises:
        RefusedInputError: the file cannot be read, lacks these columns, or holds a value that is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        tasks = [name.removeprefix(VALIDATION_PSNR) for name in rows[0] if name.startswith(VALIDATION_PSNR)]
        return {task: {int(row["epoch"]): float(row[VALIDATION_PSNR + task]) for row in rows} for task in tasks}
    except (OSError, ValueError, LookupError, TypeError, csv.Error) as error:
        raise RefusedInputError(
            f"{path} is no validation log ({type(error).__name__}: {error}): pass validation_log.csv"
        ) from error


def draw_cosines(found: Mapping[str, Sequence[GradientCosine]], *, data: str) -> Figure:
    """Draw a heat map of mean cosines for each network: rows are pairs of tasks, columns groups of parameters.

    Args:
        found: name of a network -> its cosines; all of the same tasks.
        data: origin of the samples, for the title.

    Returns:
        The figure, made without pyplot: it has no window and no global state.
    """
    pairs = sorted(
        {(row.task, row.other) for rows in found.values() for row in rows}, key=lambda it: (it[0] == it[1], it)
    )
    figure = Figure(figsize=(12.0, (0.55 * len(pairs) + 1.5) * len(found) + 1.0), dpi=100, layout="constrained")
    axes = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    for panel, (name, rows) in zip(axes, found.items(), strict=True):
        _fill_map(panel, pairs, rows)
        panel.set_title(name)
    bar = figure.colorbar(axes[0].images[0], ax=axes, shrink=0.8)
    bar.set_label("mean cosine over batches")
    figure.suptitle(f"Agreement of the tasks' gradients; in brackets, share of batches in conflict (below 0)\n{data}")
    return figure


def draw_representations(found: Mapping[str, tuple[Sequence[str], PrincipalComponents]], *, data: str) -> Figure:
    """Draw the task representations of samples in the plane of their first two principal components.

    Args:
        found: name of a network -> task of each sample, and the projections.
        data: where the samples come from, for the title.

    Returns:
        The figure, as of ``draw_cosines``.
    """
    figure = Figure(figsize=(max(9.0, 6.5 * len(found)), 6.0), dpi=100, layout="constrained")
    for panel, (name, (tasks, components)) in zip(
        figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True
    ):
        for task, colour, marker in zip(sorted(set(tasks)), cycle(COLOURS), cycle(MARKERS), strict=False):
            points = components.coordinates[np.asarray(tasks) == task]
            panel.scatter(*points.T, c=colour, marker=marker, label=task, alpha=0.8)
        for number, (axis, share) in enumerate(zip((panel.xaxis, panel.yaxis), components.explained, strict=True)):
            axis.set_label_text(f"principal component {number + 1} ({share:.0%} of the variance)")
        panel.set_title(name)
        panel.legend()
    figure.suptitle(f"Task representation Z of patches\n{data}")
    return figure


def draw_degradations(found: Mapping[str, Mapping[str, Sequence[GradientCosine]]], *, data: str) -> Figure:
    """Draw how well the gradients of one task's degradations agree, on the parameters that all networks have.

    Args:
        found: name of a network -> task -> its cosines.
        data: where the samples come from, for the title.

    Returns:
        The figure, as of ``draw_cosines``.
    """
    tasks = sorted({task for of_tasks in found.values() for task in of_tasks})
    size = (4.6 * len(tasks) + 1.0, 3.8 * len(found) + 1.0)
    figure = Figure(figsize=size, dpi=100, layout="compressed")
    panels = figure.subplots(len(found), len(tasks), squeeze=False)
    for (name, of_tasks), row in zip(found.items(), panels, strict=True):
        for task, panel in zip(tasks, row, strict=True):
            image = _fill_square(panel, [cosine for cosine in of_tasks[task] if cosine.group == "common"])
            panel.set_title(f"{task}, {name}", fontsize=9)
    bar = figure.colorbar(image, ax=panels, shrink=0.8)
    bar.set_label("mean cosine over persons")
    figure.suptitle(f"Agreement of the gradients of one task's degradations, common parameters\n{data}")
    return figure


def draw_readouts(found: Mapping[str, Sequence[Readout]], *, data: str) -> Figure:
    """Draw the scores of a linear read-out of each of the features, for persons that it was not fitted to.

    Args:
        found: name of a network -> read-outs.
        data: where the samples come from, for the title.

    Returns:
        The figure, as of ``draw_cosines``.
    """
    figure = Figure(figsize=(11.0, 4.0 * len(found) + 0.5), dpi=100, layout="constrained")
    panels = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    for panel, (name, rows) in zip(panels, found.items(), strict=True):
        asked = list(dict.fromkeys((row.task, row.what) for row in rows))
        features = list(dict.fromkeys(row.features for row in rows))
        width = 0.8 / len(features)
        for number, (of, colour) in enumerate(zip(features, cycle(COLOURS), strict=False)):
            scores = {(row.task, row.what): row.score for row in rows if row.features == of}
            places = np.arange(len(asked)) + (number - (len(features) - 1) / 2) * width
            panel.bar(places, [max(scores[one], 0.0) for one in asked], width, color=colour, label=of)
        chances = {(row.task, row.what): row.chance for row in rows}
        for place, one in enumerate(asked):
            panel.plot([place - 0.42, place + 0.42], [chances[one]] * 2, "k--", linewidth=1.0)
        panel.set_xticks(range(len(asked)), [f"{task}\n{what}" for task, what in asked])
        panel.set(ylim=(0.0, 1.0), ylabel="score", title=name)
        panel.legend(title="features")
    figure.suptitle(f"Scores of a linear read-out on persons that it was not fitted to; dashed: chance\n{data}")
    return figure


def draw_generated(found: Mapping[str, Mapping[str, GeneratedSize]], *, data: str) -> Figure:
    """Draw how large generated kernels are beside the shared ones, and how much of them differs between images.

    Args:
        found: name of a network -> part -> size.
        data: where the samples come from, for the title.

    Returns:
        The figure, as of ``draw_cosines``.
    """
    figure = Figure(figsize=(max(8.0, 6.5 * len(found)), 4.5), dpi=100, layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    for panel, (name, sizes) in zip(panels, found.items(), strict=True):
        kinds = {"whole": "whole", "between_tasks": "between tasks", "within_tasks": "within a task"}
        for number, ((kind, label), colour) in enumerate(zip(kinds.items(), cycle(COLOURS), strict=False)):
            places = np.arange(len(sizes)) + (number - 1) * 0.27
            panel.bar(places, [getattr(size, kind) for size in sizes.values()], 0.27, color=colour, label=label)
        panel.set_xticks(range(len(sizes)), list(sizes))
        panel.set(ylabel="root mean square over that of the shared kernels", title=name)
        panel.legend()
    figure.suptitle(f"Size of generated kernels, and of their differences\n{data}")
    return figure


def draw_training(
    curves: Mapping[str, TaskCurve], *, data: str, validations: Mapping[str, Mapping[int, float]] | None = None
) -> Figure:
    """Draw loss weight and error of each task over training, on logarithmic scales, and the validations' PSNR.

    Args:
        curves: task -> its curve.
        data: where the samples come from, for the title.
        validations: task -> epoch -> PSNR of the validation [dB]; ``None`` leaves the panel out.

    Returns:
        The figure, as of ``draw_cosines``.
    """
    figure = Figure(figsize=(18.0 if validations else 12.0, 5.0), dpi=100, layout="constrained")
    weights, errors, *scores = figure.subplots(1, 3 if validations else 2)
    styles = dict(zip(curves, zip(cycle(COLOURS), cycle(MARKERS)), strict=False))
    for task, curve in curves.items():
        _draw_course(weights, curve.iterations, curve.weights, task, *styles[task])
        _draw_course(errors, curve.iterations, curve.errors, task, *styles[task])
    for panel, label in ((weights, "loss weight"), (errors, "difficulty: the error that the loss measures, on [0, 1]")):
        panel.set_yscale("log")
        panel.set(xlabel="training step", ylabel=label)
        panel.legend()
    for panel in scores:
        for task, by_epoch in (validations or {}).items():
            colour, marker = styles.get(task, (None, "."))
            panel.plot(list(by_epoch), list(by_epoch.values()), color=colour, marker=marker, label=task)
        panel.set(xlabel="epoch", ylabel="PSNR of the validation [dB]")
        panel.legend()
    figure.suptitle(f"Loss weight and difficulty of the samples of logged steps, by task\n{data}")
    return figure


def _draw_course(
    panel: Axes, steps: Sequence[int], values: Sequence[float], task: str, colour: str, marker: str
) -> None:
    """Draw the values of single steps as points, and their running median as a line."""
    panel.plot(steps, values, linestyle="", color=colour, marker=marker, markersize=3.0, alpha=0.3)
    around = [values[max(place - MEDIAN_REACH, 0) : place + MEDIAN_REACH + 1] for place in range(len(values))]
    panel.plot(steps, [np.median(part) for part in around], color=colour, linewidth=2.0, label=task)


def _fill_square(panel: Axes, rows: Sequence[GradientCosine]) -> AxesImage:
    """Colour and label the cells of all pairs of one task's degradations."""
    names = sorted({name for row in rows for name in (row.task, row.other)})
    cells = np.full((len(names), len(names)), np.nan)
    for row in rows:
        one, other = names.index(row.task), names.index(row.other)
        if row.mean is not None:
            cells[one, other] = cells[other, one] = row.mean
            for x, y in {(one, other), (other, one)}:
                ink = "white" if abs(row.mean) > 0.45 else "black"
                panel.text(x, y, f"{row.mean:+.2f}", ha="center", va="center", fontsize=8, color=ink)
    panel.set_facecolor("lightgrey")
    panel.set_xticks(range(len(names)), names, rotation=30, ha="right")
    panel.set_yticks(range(len(names)), names)
    return panel.imshow(cells, cmap="RdBu", vmin=-1.0, vmax=1.0)


def _fill_map(panel: Axes, pairs: Sequence[tuple[str, str]], rows: Sequence[GradientCosine]) -> None:
    """Colour and label the cells of one network; cells without a cosine stay grey."""
    cells = np.full((len(pairs), len(GROUPS)), np.nan)
    groups = list(GROUPS)
    for row in rows:
        place = pairs.index((row.task, row.other)), groups.index(row.group)
        if row.mean is not None:
            cells[place] = row.mean
            ink = "white" if abs(row.mean) > 0.45 else "black"
            text = f"{row.mean:+.2f}\n({row.conflict:.0%})"
            panel.text(place[1], place[0], text, ha="center", va="center", fontsize=8, color=ink)
    panel.set_facecolor("lightgrey")
    panel.imshow(cells, cmap="RdBu", vmin=-1.0, vmax=1.0, aspect="auto")
    panel.set_xticks(range(len(groups)), [group.replace("_", "\n") for group in groups])
    panel.set_yticks(range(len(pairs)), [f"{a}, other batches" if a == b else f"{a} - {b}" for a, b in pairs])
