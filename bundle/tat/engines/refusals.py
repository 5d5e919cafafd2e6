"""Telling a user in one line why a scan was refused."""

import logging
import sys
from types import TracebackType

from bundle.tat.refusal import RefusedInputError


def show_in_one_line() -> None:
    """Print a refusal as one line instead of a traceback, for the rest of this process; its exit code stays 1.

    Meant for the command line, as the first step of a config's ``run``. MONAI and Ignite wrap what a transform raises,
    so the refusal is looked for among the causes. Any other error keeps its traceback.
    """
    sys.excepthook = _excepthook
    for engine in ("SupervisedTrainer", "SupervisedEvaluator"):
        logging.getLogger(f"ignite.engine.engine.{engine}").addFilter(_is_no_echo)


def _is_no_echo(record: logging.LogRecord) -> bool:
    """Whether a log line is more than Ignite's echo of an exception that is on its way up anyway."""
    return "is terminating due to exception" not in record.getMessage()


def find_refusal(error: BaseException | None) -> RefusedInputError | None:
    """The refusal that an error is, or was caused by.

    Args:
        error: an exception, with its chain of causes.

    Returns:
        The first refusal of the chain, ``None`` if there is none.
    """
    while error is not None and not isinstance(error, RefusedInputError):
        error = error.__cause__ or error.__context__
    return error


def _excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    refusal = find_refusal(error)
    if refusal is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        sys.stderr.write(f"refused: {refusal}\n")
