"""The log of training: error and loss weight of each task, step by step, as a table and for plots."""

import csv
from collections.abc import Sequence
from time import perf_counter, process_time
from typing import Any, Final

import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys

from bundle.tat.atomic import written_whole
from bundle.tat.data.datalist import resolve_path
from bundle.tat.losses import PlainL1Loss, TaskAdaptiveLoss

# What a row says about its task, and about the whole step; the latter is in the rows of all tasks.
OF_TASK: Final = ("error", "weight")
OF_STEP: Final = ("loss", "learning_rate", "gradient_norm", "loading_share", "cpu_seconds")
COLUMNS: Final = ("iteration", "task", *OF_TASK, *OF_STEP)


class LoggedSteps:
    """Which steps are logged: one in each ``interval``, and the last of each epoch that has fewer steps.

    Args:
        interval: steps from one log to the next.
    """

    def __init__(self, interval: int) -> None:
        self.interval = interval

    def __call__(self, engine: Engine, iteration: int) -> bool:
        """Whether this step is logged."""
        length = engine.state.epoch_length or self.interval
        return iteration % self.interval == 0 or (length < self.interval and iteration % length == 0)


class TrainingLog:
    """Handler that writes the mean error and loss weight of each task to a CSV, and to TensorBoard if requested.

    When training continues from a checkpoint, rows that were written after it are dropped: those steps are done again.
    The CPU time continues from the last row that is kept. The numbers that were logged last are left in
    ``engine.state.training_log``, a dictionary by name.

    Args:
        path: CSV file, one row for each task and logged step.
        loss: the loss, not its distributed wrapper.
        optimizer: for its learning rate.
        interval: of ``LoggedSteps``.
        writer: a TensorBoard ``SummaryWriter``; ``None`` for the CSV alone.
        task_key: entry of a batch that names its samples' tasks.
        is_writer: whether this process writes; one of several ranks does, about its own samples.
    """

    def __init__(
        self,
        path: str,
        loss: TaskAdaptiveLoss | PlainL1Loss,
        optimizer: torch.optim.Optimizer,
        *,
        interval: int = 100,
        writer: Any = None,
        task_key: str = "modality",
        is_writer: bool = True,
    ) -> None:
        self.path = resolve_path(path)
        self.loss = loss
        self.optimizer = optimizer
        self.interval = interval
        self.writer = writer
        self.task_key = task_key
        self.is_writer = is_writer
        self.clock = LoadingClock()
        # CPU time of the process at the start of training; unknown until it is known which steps are done.
        self._started: float | None = None

    def attach(self, engine: Engine) -> None:
        """Log steps of ``engine``."""
        if self.is_writer:
            # Not when training starts: the step that it continues from may not be known yet.
            engine.add_event_handler(Events.EPOCH_STARTED, self.begin)
            self.clock.attach(engine)
            is_logged = LoggedSteps(self.interval)
            engine.add_event_handler(Events.ITERATION_COMPLETED(event_filter=is_logged), self.log)

    def begin(self, engine: Engine) -> None:
        """Keep the rows of the steps that are done, and no others."""
        rows: list[dict[str, str]] = []
        if self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if int(row["iteration"]) <= engine.state.iteration]
        if self._started is None:
            # Logs of 0.1.0 have no such column.
            before = float(rows[-1].get("cpu_seconds") or 0.0) if rows else 0.0
            self._started = process_time() - before
        with written_whole(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows)

    def log(self, engine: Engine) -> None:
        """Append one row for each task of this step's batch."""
        share = round(self.clock.take_share(), 4)
        seconds = round(process_time() - (self._started or 0.0), 1)
        rows = [{**row, "loading_share": share, "cpu_seconds": seconds} for row in self.rows(engine)]
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS).writerows(rows)
        state: Any = engine.state
        state.training_log = scalars(rows)
        if self.writer is not None:
            for name, value in state.training_log.items():
                self.writer.add_scalar(name, value, state.iteration)

    @torch.no_grad()
    def rows(self, engine: Engine) -> list[dict[str, Any]]:
        """The numbers of this step's batch, one row for each task."""
        output: dict[str, torch.Tensor] = engine.state.output  # type: ignore[assignment]
        batch: dict[str, Sequence[str]] = engine.state.batch  # type: ignore[assignment]
        image, pred, label = (output[key].float() for key in (CommonKeys.IMAGE, CommonKeys.PRED, CommonKeys.LABEL))
        samples = self.loss.sample_losses(image, pred, label)
        tasks = list(batch[self.task_key])
        of_step = {
            "iteration": engine.state.iteration,
            "loss": float(output[CommonKeys.LOSS]),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "gradient_norm": getattr(engine.state, "gradient_norm", ""),
        }
        return [
            {
                **of_step,
                "task": task,
                "error": float(samples.error[_places(tasks, task)].mean()),
                "weight": float(samples.weight[_places(tasks, task)].mean()),
            }
            for task in sorted(set(tasks))
        ]


def scalars(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Numbers of one step by name: ``error/CT``, ``weight/CT`` and so on, and those of the whole step once.

    Args:
        rows: of one step, one for each task.

    Returns:
        The numbers; ``loss`` is left out, which has a handler of its own, and so is what was not measured.
    """
    named = {f"{name}/{row['task']}": row[name] for row in rows for name in OF_TASK}
    return named | {name: rows[0][name] for name in OF_STEP if name != "loss" and rows[0][name] != ""}


def _places(tasks: Sequence[str], task: str) -> list[int]:
    """Where a task's samples stand in a batch."""
    return [place for place, name in enumerate(tasks) if name == task]


class LoadingClock:
    """Handler that measures the share of the steps' time that they wait for their batch.

    Only the time of steps counts, from asking for a batch to the end of the step: validation and saving between epochs
    do not make loading look short.
    """

    def __init__(self) -> None:
        self._step_started = 0.0
        self._waited = 0.0
        self._total = 0.0

    def attach(self, engine: Engine) -> None:
        """Measure the steps of ``engine``."""
        engine.add_event_handler(Events.GET_BATCH_STARTED, self._ask)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._receive)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._finish)

    def take_share(self) -> float:
        """Share of the time since the last call, in [0, 1]; 0 when there was no step."""
        share = self._waited / self._total if self._total else 0.0
        self._waited = self._total = 0.0
        return share

    def _ask(self) -> None:
        self._step_started = perf_counter()

    def _receive(self) -> None:
        self._waited += perf_counter() - self._step_started

    def _finish(self) -> None:
        self._total += perf_counter() - self._step_started
