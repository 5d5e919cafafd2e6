"""Reading the command lines that a benchmark runs."""

from __future__ import annotations

from collections.abc import Sequence


def option(command: Sequence[str], name: str) -> str:
    """The value of an option."""
    return command[command.index(name) + 1]
