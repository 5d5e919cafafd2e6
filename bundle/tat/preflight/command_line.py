"""Checks of the command line ``python -m monai.bundle run``, made by the config that it runs."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from monai.bundle import ConfigWorkflow, create_workflow, run, update_kwargs

from bundle.tat.cases.refusals import show_in_one_line
from bundle.tat.preflight.known_ids import check_ids
from bundle.tat.preflight.overlays import check_overlays
from bundle.tat.refusal import RefusedInputError
from bundle.tat_command.verbs import PATH_IDS

MONAI_PROGRAM: Final = "monai.bundle.__main__"
# Words of the command that are no ids.
_WORDS_OF_MONAI: Final = frozenset(
    name for call in (run, create_workflow, ConfigWorkflow.__init__) for name in inspect.signature(call).parameters
)
_WORDS_FOR_IDS: Final = frozenset({"config_file", "run_id", "init_id", "final_id", "tracking"})
# Paths that configs join to other paths, so that they must be read as text.
_JOINED: Final = frozenset({"bundle_root", "ckpt_dir"})
_QUOTES: Final = ("'", '"')


def prepare_run(configs: Sequence[str], *, own_process: bool = False) -> None:
    """First step of a config's ``run``: refuse unknown ids and wrong overlays before anything is read or trained.

    Overlays are checked in every run. MONAI does not pass on to a config which files and overrides it was merged from.
    The words of a command can be read again, so that ids are checked here too. A Python program calls ``check_ids``
    itself. On the command line, a refusal is one line from here on. Other processes are left as they are.

    Args:
        configs: see ``check_overlays``.
        own_process: whether a host has started this process only for the run, as MONAI Label does to train. A refusal
            is one line in such a process too.

    Raises:
        RefusedInputError: overlays that do not go together, or an unknown id.
    """
    if own_process or is_command_line():
        show_in_one_line()
    check_overlays(configs)
    if is_command_line():
        check_typed_paths(sys.argv[1:])
        check_ids(**read_command(sys.argv[1:]))


def check_typed_paths(words: Sequence[str]) -> None:
    """Refuse a path that MONAI reads as a number, a list or another value, so that another folder would be used.

    Args:
        words: of the command, as for ``read_command``.

    Raises:
        RefusedInputError: there is such a path; the message says how to write it.
    """
    for name, typed in _named_words(words):
        read = _as_python(typed)
        is_same = str(read) == typed and (isinstance(read, str) or name not in _JOINED)
        if name in PATH_IDS and not is_same and not typed.startswith(_QUOTES):
            raise RefusedInputError(f"MONAI takes --{name} {typed} for {read!r} instead of a path: write ./{typed}")


def is_command_line() -> bool:
    """Whether this process is ``python -m monai.bundle``, by itself or started by ``torchrun``."""
    specification = getattr(sys.modules["__main__"], "__spec__", None)
    return specification is not None and specification.name == MONAI_PROGRAM


def read_command(words: Sequence[str]) -> dict[str, Any]:
    """The ids and values in a command of MONAI.

    Args:
        words: of the command, after ``python -m monai.bundle``: the verb, then ``--name value`` or ``--name=value``.

    Returns:
        Arguments of ``check_ids``, those of an ``--args_file`` included.
    """
    return only_ids({name: _as_python(value) for name, value in _named_words(words)})


def _named_words(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names of a command with their values as typed."""
    words = words[: words.index("--")] if "--" in words else words  # what follows is for Fire
    for index, word in enumerate(words):
        if _is_name(word):
            name, equals, value = word.lstrip("-").partition("=")
            following = words[index + 1 : index + 2]
            if not equals:
                value = following[0] if following and not _is_name(following[0]) else "True"
            yield name.replace("-", "_"), value


def only_ids(said: Mapping[str, Any]) -> dict[str, Any]:
    """The ids and values in the arguments of ``monai.bundle.run``.

    Args:
        said: arguments by name.

    Returns:
        Arguments of ``check_ids``, those of an ``args_file`` included.
    """
    whole = update_kwargs(said.get("args_file"), **said)
    return {name: value for name, value in whole.items() if name in _WORDS_FOR_IDS or name not in _WORDS_OF_MONAI}


def _is_name(word: str) -> bool:
    """Whether a word is a name and not a value, by Fire's rule: a negative number is a value."""
    return word.startswith("--") or re.match("-[a-zA-Z]", word) is not None


def _as_python(text: str) -> Any:
    """A value as Fire reads it."""
    from fire.parser import DefaultParseValue  # which such a process has imported anyway

    return DefaultParseValue(text)
