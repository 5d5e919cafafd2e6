"""One line for the user: why a scan was refused."""

import errno
import logging
import re
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Final

import torch

from bundle.tat.refusal import RefusedInputError

# Errors of the file system after which no other case could be written either.
_OUTPUT_IS_LOST: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

# Loggers that log an exception which is raised anyway: Ignite's engines, by their classes, and MONAI's StatsHandler.
_ECHOING: Final = (
    *(f"ignite.engine.engine.{name}" for name in ("SupervisedTrainer", "SupervisedEvaluator")),
    *(f"ignite.engine.engine.{name}" for name in ("RestorationTrainer", "RestorationEvaluator")),
    "monai.handlers.StatsHandler",
)

# An error in a process of torch's loader is raised here as an error whose text is the traceback, causes first.
_OF_WORKER: Final = "in DataLoader worker process"
_REFUSAL_OF_WORKER: Final = re.compile(r"^bundle\.tat\.refusal\.RefusedInputError: (.+?)(?=\n\n|\n?\Z)", re.M | re.S)


def show_in_one_line() -> None:
    """Print a refusal as one line instead of a traceback, for the rest of this process; its exit code stays 1.

    It is meant for the command line, as the first step of a config's ``run``. MONAI and Ignite wrap the error of a
    transform, so the refusal is looked for among the causes. Any other error keeps its traceback.
    """
    sys.excepthook = _excepthook
    hide_echoes()


def hide_echoes() -> None:
    """Keep Ignite and MONAI from logging exceptions with their traceback: they are raised anyway."""
    for name in _ECHOING:
        logging.getLogger(name).addFilter(_is_no_echo)


def _is_no_echo(record: logging.LogRecord) -> bool:
    """Whether a log line is more than a copy of an exception that is raised anyway."""
    message = record.getMessage()
    is_monais = record.exc_info is not None and message.startswith("Exception: ")
    return not is_monais and "is terminating due to exception" not in message


def find_refusal(error: BaseException | None) -> RefusedInputError | None:
    """The refusal that an error is or was caused by, in this process or in one that loads data.

    Args:
        error: an exception, with its chain of causes.

    Returns:
        The first refusal of the chain, ``None`` if there is none.
    """
    for cause in _causes(error):
        if _OF_WORKER in str(cause):
            if sentences := _REFUSAL_OF_WORKER.findall(str(cause)):
                return RefusedInputError(sentences[-1])
        elif isinstance(cause, RefusedInputError):
            return cause
    return None


def explain_failure(error: BaseException) -> str | None:
    """Why one scan could not be restored, if it is a refusal or a lack of memory.

    Args:
        error: what was raised while it was read, restored or saved.

    Returns:
        One sentence; ``None`` for an error of the program.
    """
    refusal = find_refusal(error)
    if refusal is not None:
        return str(refusal)
    if any(_is_out_of_memory(cause) for cause in _causes(error)):
        return "the memory is too small for this scan: restore it on a machine with more memory"
    return None


def is_output_lost(error: BaseException) -> bool:
    """Whether every other scan would fail too: the disk is full, or can no longer be written to."""
    return any(isinstance(cause, OSError) and cause.errno in _OUTPUT_IS_LOST for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, last first; one that is named as its own cause is given once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
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
