"""The command ``tat``: it reads the verb and its words, and prints help in plain text.

It is beside the package ``bundle.tat``, not in it. Importing that package imports MONAI and PyTorch, which takes
seconds, and ``tat --help`` needs neither (docs/decisions/0009-command-beside-the-package.md). What the verbs do is in
``bundle.tat.verbs``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from bundle.tat_command.manual import overview, page, versions
from bundle.tat_command.words import MisuseError, known_verb, read_words

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words say.

    Args:
        words: of the command line, without the program; ``None`` takes those of this process.

    Returns:
        The exit code: 0, or 1 after a refusal in one line. Errors of the program are raised.
    """
    given = list(sys.argv[1:] if words is None else words) or ["--help"]
    try:
        return _answer(given[0], given[1:])
    except MisuseError as error:
        sys.stderr.write(f"refused: {error}\n")
        return 1


def _answer(name: str, rest: Sequence[str]) -> int:
    """Print what is asked for, or do it; returns the exit code."""
    if name in ("--help", "-h", "help"):
        sys.stdout.write(page(known_verb(rest[0])) if rest else overview())
    elif {"--help", "-h"} & set(rest):
        sys.stdout.write(page(known_verb(name)))
    elif name in ("--version", "version"):
        sys.stdout.write(versions())
    else:
        options = read_words(known_verb(name), rest)
        # PyTorch's threads wait for each other without taking the cores from other programs; read when it is imported.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        # By its name, when it is needed: it imports MONAI.
        perform = import_module("bundle.tat.verbs.perform").perform
        return int(perform(name, options))
    return 0
