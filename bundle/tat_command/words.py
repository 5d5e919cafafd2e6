"""Reading the words of a command line of ``tat``."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Final

from bundle.tat_command.manual import usage
from bundle.tat_command.verbs import PATH_IDS, PATHS, TEXTS, VERBS

_SWITCH_WORDS: Final = {"true": True, "false": False}
# What MONAI takes for a reference or an expression, also where a path should stand.
_CONFIG_SIGNS: Final = ("$", "@", "%")
# So similar must a word be to be taken for a misspelt one.
_SIMILARITY: Final = 0.5


class MisuseError(Exception):
    """Words that ``tat`` cannot use; the message says why in one sentence."""


def known_verb(name: str) -> str:
    """A word, if it is a verb.

    Args:
        name: what the user typed.

    Raises:
        MisuseError: it is none; the message names the nearest.
    """
    if name not in VERBS:
        raise MisuseError(f"tat has no verb {name!r}, see tat --help{_nearest(name, VERBS)}")
    return name


def read_words(name: str, words: Sequence[str]) -> dict[str, object]:
    """Read the words after a verb.

    Values are read as ``python -m monai.bundle run`` reads them. Paths are not: they are taken as typed and made
    absolute, so that ``2026_01`` is no number and ``a,b`` no list.

    Args:
        name: the verb.
        words: what follows it.

    Returns:
        The options by name.

    Raises:
        MisuseError: a word is missing, unknown, too many, given twice, or no value of its option.
    """
    verb = VERBS[name]
    switches = {option.name for option in verb.options if not option.value}
    placed, flags = _separate(words, switches)
    _check_values(name, flags)
    options = _parse(name, flags, switches)
    if len(placed) > len(verb.places):
        raise MisuseError(f"{placed[len(verb.places)]!r} is one word too many: {usage(name)}")
    for place, word in zip(verb.places, placed, strict=False):
        if place.name in options:
            raise MisuseError(f"{place.shown} is given twice, as {word!r} and with --{place.name}: leave one out")
        options[place.name] = _absolute(word)
    missing = [place.shown for place in verb.places if not place.is_optional and place.name not in options]
    if missing:
        raise MisuseError(f"tat {name} needs {' and '.join(missing)}: {usage(name)}")
    return options


def _separate(words: Sequence[str], switches: Collection[str]) -> tuple[list[str], list[str]]:
    """Words without ``--`` and those with it, each of the latter with its value; all after a bare ``--`` have none."""
    placed: list[str] = []
    flags: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return placed + rest, flags
        if not _is_flag(word):
            placed.append(word)
            continue
        flags.append(word)
        is_followed = bool(rest) and "=" not in word and not _is_flag(rest[0])
        if is_followed and (_name(word) not in switches or rest[0].lower() in _SWITCH_WORDS):
            flags.append(rest.pop(0))
    return placed, flags


def _check_values(command: str, flags: Sequence[str]) -> None:
    """Refuse options without their values: fire would take them for switches, and a path for the folder ``True``."""
    verb = VERBS[command]
    shown = {option.name: option.value for option in verb.options if option.value}
    shown |= {place.name: place.shown for place in verb.places}
    shown |= {name: "PATH" for name in PATH_IDS if verb.takes_ids and name not in shown}
    for word, following in zip(flags, [*flags[1:], "--"], strict=False):
        if not _is_flag(word):
            continue
        flag, equals, value = word.partition("=")
        if not equals and not _is_flag(following):
            value = following
        if (name := _name(flag)) in shown and not value:
            raise MisuseError(f"--{name} needs a value: --{name} {shown[name]}, see tat {command} --help")


def _parse(command: str, flags: Sequence[str], switches: Collection[str]) -> dict[str, object]:
    """The options that words with ``--`` give."""
    import fire
    from fire.decorators import SetParseFns

    verb = VERBS[command]
    paths = {option.name for option in verb.options if option.value in PATHS} | {place.name for place in verb.places}
    if verb.takes_ids:
        paths |= {*PATH_IDS}
    texts = [option.name for option in verb.options if option.value in TEXTS]
    readers = {**dict.fromkeys(paths, _path), **dict.fromkeys(texts, str), **dict.fromkeys(switches, _switch)}
    found: dict[str, object] = {}

    def collect(**options: object) -> None:
        found.update(options)

    fire.Fire(SetParseFns(**readers)(collect), command=list(flags), name="tat")
    known = [*paths, *(option.name for option in verb.options)]
    for name in found:
        if not verb.takes_ids and name not in known:
            raise MisuseError(f"there is no --{name}, see tat {command} --help{_nearest(name, known)}")
    return found


def _is_flag(word: str) -> bool:
    """Whether fire takes a word for an option; ``-1`` is a value."""
    return word.startswith("--") or re.match("-[a-zA-Z]", word) is not None


def _name(flag: str) -> str:
    """The option that a word names, as fire has it."""
    return flag.lstrip("-").replace("-", "_")


def _switch(word: str) -> bool:
    try:
        return _SWITCH_WORDS[word.lower()]
    except KeyError:
        raise MisuseError(f"{word!r} is no value of a switch: pass True or False") from None


def _path(word: str) -> str:
    return word if word.startswith(_CONFIG_SIGNS) else _absolute(word)


def _absolute(word: str) -> str:
    """A path as typed, from the working directory that the command was started in."""
    return os.path.abspath(os.path.expanduser(word))  # noqa: PTH100, PTH111 - drops `..`, keeps links


def _nearest(word: str, known: Collection[str]) -> str:
    """A question whether another word was meant, if one is similar."""
    alike = get_close_matches(word, known, n=1, cutoff=_SIMILARITY)
    return f". Did you mean {alike[0]}?" if alike else ""
