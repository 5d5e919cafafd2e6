"""What the loss does to each task, step by step, for people and for plots."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys

from bundle.tat.atomic import written_whole
from bundle.tat.losses import PlainL1Loss, TaskAdaptiveLoss

COLUMNS: Final = ("iteration", "task", "error", "weight", "loss", "learning_rate", "gradient_norm")


class TrainingLog:
    """Handler that writes the mean error and loss weight of each task to a CSV, and to TensorBoard if asked.

    When training goes on from a checkpoint, rows that were written after it are dropped: those steps are done again.

    Args:
        path: CSV file, one row for each task and logged step.
        loss: the loss, not its distributed wrapper.
        optimizer: for its learning rate.
        interval: steps from one log to the next.
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
        self.path = Path(path).expanduser()
        self.loss = loss
        self.optimizer = optimizer
        self.interval = interval
        self.writer = writer
        self.task_key = task_key
        self.is_writer = is_writer

    def attach(self, engine: Engine) -> None:
        """Log every ``interval`` steps of ``engine``."""
        if self.is_writer:
            # Not when training starts: the step that it goes on from may not be known yet.
            engine.add_event_handler(Events.EPOCH_STARTED, self.begin)
            engine.add_event_handler(Events.ITERATION_COMPLETED(every=self.interval), self.log)

    def begin(self, engine: Engine) -> None:
        """Keep the rows of the steps that are done, and no others."""
        rows: list[dict[str, str]] = []
        if self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if int(row["iteration"]) <= engine.state.iteration]
        with written_whole(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows)

    def log(self, engine: Engine) -> None:
        """Append one row for each task of this step's batch."""
        rows = self.rows(engine)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS).writerows(rows)
        if self.writer is not None:
            self._write_scalars(rows)

    @torch.no_grad()
    def rows(self, engine: Engine) -> list[dict[str, Any]]:
        """What this step's batch tells about each task."""
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

    def _write_scalars(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            step = row["iteration"]
            self.writer.add_scalar(f"error/{row['task']}", row["error"], step)
            self.writer.add_scalar(f"weight/{row['task']}", row["weight"], step)
        for name in ("learning_rate", "gradient_norm"):
            if row[name] != "":
                self.writer.add_scalar(name, row[name], step)


def _places(tasks: Sequence[str], task: str) -> list[int]:
    """Where a task's samples stand in a batch."""
    return [place for place, name in enumerate(tasks) if name == task]
