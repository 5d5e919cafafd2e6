"""Telling a user in one line why a scan was refused."""

import errno
import logging
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Final

import torch

from bundle.tat.refusal import RefusedInputError

# What the file system says when no other case could be written either.
_OUTPUT_IS_LOST: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def show_in_one_line() -> None:
    """Print a refusal as one line instead of a traceback, for the rest of this process; its exit code stays 1.

    Meant for the command line, as the first step of a config's ``run``. MONAI and Ignite wrap what a transform raises,
    so the refusal is looked for among the causes. Any other error keeps its traceback.
    """
    sys.excepthook = _excepthook
    hide_echoes()


def hide_echoes() -> None:
    """Keep Ignite from logging exceptions, traceback and all, that are on their way up anyway."""
    for engine in ("SupervisedTrainer", "SupervisedEvaluator", "RestorationEvaluator"):
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
    return next((cause for cause in _causes(error) if isinstance(cause, RefusedInputError)), None)


def explain_failure(error: BaseException) -> str | None:
    """Why one scan could not be restored, if that is all that went wrong.

    Args:
        error: what was raised while it was read, restored or saved.

    Returns:
        One sentence: of a refusal, or about memory; ``None`` for an error of the program.
    """
    refusal = find_refusal(error)
    if refusal is not None:
        return str(refusal)
    if any(_is_out_of_memory(cause) for cause in _causes(error)):
        return "the memory is too small for this scan: restore it on a machine with more"
    return None


def is_output_lost(error: BaseException) -> bool:
    """Whether an error would befall every other scan too: the disk is full, or can no longer be written to."""
    return any(isinstance(cause, OSError) and cause.errno in _OUTPUT_IS_LOST for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it, last first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a device or on the host, where torch has no error of its own."""
    on_host = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return on_host or isinstance(error, (MemoryError, torch.OutOfMemoryError))


def _excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    refusal = find_refusal(error)
    if refusal is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        sys.stderr.write(f"refused: {refusal}\n")
