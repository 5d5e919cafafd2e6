"""A list on disk of the finished pairs and what they depend on, so that an interrupted run can continue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from bundle.tat.atomic import written_whole
from scripts.data.sources import Source

Entries = dict[str, dict[str, Any]]  # by the path of the clean volume


class Listed(Protocol):
    """An item of the list: a part of prepared pairs, or of a real scan."""

    @property
    def split(self) -> str:
        """``training``, ``validation`` or ``testing``."""

    def path(self, kind: str) -> str:
        """Name one of the files, ``low`` or ``full``, from the folder of the datalist."""


def describe_run(sources: Path, seed: int, packages: Sequence[Source]) -> dict[str, Any]:
    """Everything that the data depend on."""
    programs = {name: version(name) for name in ("numpy", "scipy", "astra-toolbox")}
    archives = {next(sources.glob(source.archive)).name: source.sha256 for source in packages}
    return {"seed": seed, "packages": programs, "sources": archives}


def read_finished(path: Path, provenance: dict[str, Any]) -> Entries:
    """Find the pairs that an earlier run with the same seed and packages finished and that still exist."""
    listed = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if listed.get("provenance") != provenance:
        return {}
    entries = [entry for split in ("training", "validation", "testing") for entry in listed[split]]
    return {
        entry["label"]: entry
        for entry in entries
        if all((path.parent / entry[key]).is_file() for key in ("image", "label") if key in entry)
    }


def write_finished(path: Path, parts: Sequence[Listed], entries: Entries, provenance: dict[str, Any]) -> None:
    """Write the pairs as a datalist, by split and in the order of ``parts``, completely or not at all."""
    listed: dict[str, Any] = {"training": [], "validation": [], "testing": []}
    for part in parts:
        if (label := part.path("full")) in entries:
            listed[part.split].append(entries[label])
    with written_whole(path) as scratch:
        scratch.write_text(json.dumps({**listed, "provenance": provenance}, indent=2) + "\n", encoding="utf-8")
