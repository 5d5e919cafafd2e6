"""Origin of a diagnosis: weights, data and seed, and the command that repeats it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bundle.tat.atomic import write_json
from bundle.tat.provenance import Provenance


@dataclass(frozen=True, kw_only=True)
class DiagnosisRecord:
    """Origin of a diagnosis.

    Args:
        command: command that repeats it, with files without their folders.
        datalist: name of the datalist, without its folder.
        section: section of the datalist.
        seed: of the draw of samples.
        networks: name of each network -> its weights and the version of the bundle.
        checkpoint_sha256: SHA-256 of the checkpoint that the loss comes from; ``None`` for an untrained loss.
    """

    command: str
    datalist: str
    section: str
    seed: int
    networks: Mapping[str, Provenance]
    checkpoint_sha256: str | None

    def add_provenance(self, rows: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
        """Add the origin to each row of a table, as in an evaluation.

        Args:
            rows: rows with the name of their ``network``.

        Returns:
            The rows with further columns.
        """
        shared = {"datalist": self.datalist, "section": self.section, "seed": self.seed}
        return [{**row, **self.networks[str(row["network"])].columns(), **shared} for row in rows]

    def write(self, output_dir: Path) -> None:
        """Write ``diagnosis.json``, completely or not at all.

        Args:
            output_dir: folder of the diagnosis; it exists.

        Raises:
            RefusedInputError: the file cannot be written.
        """
        (version,) = {made.version for made in self.networks.values()}
        content = {
            "bundle_version": version,
            "command": self.command,
            "datalist": self.datalist,
            "section": self.section,
            "seed": self.seed,
            "weights_sha256": {name: made.weights_sha256 for name, made in self.networks.items()},
            "checkpoint_sha256": self.checkpoint_sha256,
        }
        write_json(output_dir / "diagnosis.json", content)


def as_command(options: Mapping[str, object]) -> str:
    """The command that repeats a diagnosis.

    Args:
        options: values by name, several files as a tuple of paths; ``None``, ``False`` and empty values are left out.

    Returns:
        The command. Paths are without their folders, since folders may name people.
    """
    return shlex.join(["tat", "diagnose", *_words(options)])


def _words(options: Mapping[str, object]) -> Iterator[str]:
    for name, value in options.items():
        if value is None or value is False or value == ():
            continue
        yield f"--{name}"
        if isinstance(value, tuple):
            # One file is written as it is, several as a list.
            names = [path.name for path in value]
            yield names[0] if len(names) == 1 else json.dumps(names, separators=(",", ":"))
        else:
            yield value.name if isinstance(value, Path) else str(value)
