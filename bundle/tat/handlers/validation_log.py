"""The validation scores over training, as a table and for plots."""

import csv
from typing import Final

from ignite.engine import Engine, Events

from bundle.tat.atomic import written_whole
from bundle.tat.data.datalist import resolve_path

EPOCH: Final = "epoch"


class ValidationLog:
    """Handler that writes all metrics of each validation to a CSV, one row for each.

    When training continues from a checkpoint, rows of epochs that are done again are replaced.

    Args:
        path: CSV file.
        is_writer: whether this process writes; one of several ranks does.
    """

    def __init__(self, path: str, *, is_writer: bool = True) -> None:
        self.path = resolve_path(path)
        self.is_writer = is_writer

    def attach(self, engine: Engine) -> None:
        """Write when ``engine`` has validated."""
        if self.is_writer:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.log)

    def log(self, engine: Engine) -> None:
        """Write the row of this epoch, of training, after those of the epochs before."""
        rows: list[dict[str, object]] = []
        if self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = [{**row} for row in csv.DictReader(file) if int(row[EPOCH]) < engine.state.epoch]
        rows.append({EPOCH: engine.state.epoch, **engine.state.metrics})
        with written_whole(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            table.writeheader()
            table.writerows(rows)
