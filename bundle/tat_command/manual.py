"""Help of ``tat``, in plain text."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from runpy import run_path
from typing import Final

from bundle.tat_command.verbs import VERBS, Option

_WIDTH: Final = 100
_PACKAGES: Final = ("torch", "monai", "pydicom", "nibabel")
_ABOUT: Final = "Restores low-dose CT, k-space truncated MRI and low-count PET with one network."
_NOT_A_DEVICE: Final = "Research software, not a medical device."


def overview() -> str:
    """What ``tat --help`` prints: one line a verb."""
    lines = _columns((name, verb.says) for name, verb in VERBS.items())
    return (
        f"usage: tat VERB ...\n\n{_ABOUT}\n\n{lines}\n"
        "tat VERB --help explains a verb. Several GPUs: torchrun --nproc_per_node 2 -m bundle.tat VERB ...\n"
        f"{_NOT_A_DEVICE}\n"
    )


def usage(name: str) -> str:
    """How a verb is called, in one line.

    Args:
        name: the verb.
    """
    verb = VERBS[name]
    places = [f"[{place.shown}]" if place.is_optional else place.shown for place in verb.places]
    options = ["[--id value ...]" if verb.takes_ids else "[--option value ...]"] if verb.options else []
    return " ".join(["tat", name, *places, *options])


def page(name: str) -> str:
    """What ``tat VERB --help`` prints.

    Args:
        name: the verb.
    """
    verb = VERBS[name]
    parts = [
        _columns((place.shown, place.says) for place in verb.places),
        _columns((_option(option), option.says) for option in verb.options),
        "\n".join(textwrap.fill(part, _WIDTH) for part in verb.text.split("\n")) + "\n" if verb.text else "",
    ]
    says = verb.says[0].upper() + verb.says[1:]
    return "\n".join([f"usage: {usage(name)}\n", f"{says}.\n", *filter(None, parts)])


def versions() -> str:
    """What ``tat version`` prints: the bundle first, then what results may depend on."""
    # The package that holds it imports MONAI; its file alone does not.
    ours = run_path(str(Path(__file__).parents[1] / "tat" / "version.py"))["VERSION"]
    others = [("python", platform.python_version()), *((name, _installed(name)) for name in _PACKAGES)]
    return "".join(f"{name} {number}\n" for name, number in [("tat", ours), *others])


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"


def _option(option: Option) -> str:
    return f"--{option.name} {option.value}".rstrip()


def _columns(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what is said about them, the latter wrapped in a column of its own."""
    cells = list(rows)
    indent = max((len(name) for name, _ in cells), default=0) + 4
    lines = []
    for name, says in cells:
        first, *more = textwrap.wrap(says, _WIDTH - indent)
        lines += [f"  {name}".ljust(indent) + first, *(" " * indent + line for line in more)]
    return "".join(f"{line}\n" for line in lines)
