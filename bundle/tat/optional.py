"""Late import of optional packages: inference runs without them, and a program that needs one names it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any


class MissingPackageError(ImportError):
    """An optional package is not installed; the message is one sentence, with the remedy."""


def import_optional(name: str, *, extra: str = "simulation") -> Any:
    """Import a module of an optional package.

    Args:
        name: the module, such as ``astra`` or ``scipy.ndimage``.
        extra: the extra of the distribution that installs it.

    Returns:
        The module.

    Raises:
        MissingPackageError: it is not installed; the message names the remedy.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingPackageError(_remedy(name, extra)) from error


@contextlib.contextmanager
def exit_if_missing(package: str, *, extra: str) -> Iterator[None]:
    """End the program in one line where the imports inside lack an optional package.

    Args:
        package: the package, such as ``matplotlib``; if another one is missing, the error is raised as it is.
        extra: the extra of the distribution that installs it.

    Raises:
        SystemExit: the package is not installed; the message names the remedy.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        sys.exit(_remedy(package, extra))


def _remedy(name: str, extra: str) -> str:
    return f"{extra} needs {name}: run pip install '.[{extra}]' in the bundle's folder"
