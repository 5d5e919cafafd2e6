"""Where a diagnosis comes from: which weights, data and seed, and the command that makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monai.utils import ensure_tuple

from bundle.tat.cases.record import file_sha256
from bundle.tat.evaluation.table import write_json
from bundle.tat.version import VERSION


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a diagnosis comes from.

    Args:
        bundle_version: version of the bundle that computed it.
        command: what was typed, files by their names alone.
        datalist: name of the datalist, without its folder.
        section: section of the datalist.
        seed: of the draw of samples.
        weights_sha256: name of each network -> SHA-256 of its weights file, in hexadecimal.
        checkpoint_sha256: SHA-256 of the checkpoint that the loss comes from; ``None`` for an untrained loss.
    """

    bundle_version: str
    command: str
    datalist: str
    section: str
    seed: int
    weights_sha256: Mapping[str, str]
    checkpoint_sha256: str | None

    def add_provenance(self, rows: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
        """Let each row of a table say where it comes from, as those of an evaluation do.

        Args:
            rows: with the name of their ``network``.

        Returns:
            The rows with more columns.
        """
        shared = {name: getattr(self, name) for name in ("bundle_version", "datalist", "section", "seed")}
        return [{**row, "weights_sha256": self.weights_sha256[str(row["network"])], **shared} for row in rows]


def find_origin(program: str, options: Mapping[str, Any], weights: Mapping[str, Path]) -> Origin:
    """Say where a diagnosis comes from.

    Args:
        program: name of the script.
        options: all of its options by name, ``datalist``, ``seed`` and ``checkpoint`` among them.
        weights: name of each network -> its weights file.

    Returns:
        The origin; of paths it holds the last part only, since folders may name people.
    """
    return Origin(
        bundle_version=VERSION,
        command=shlex.join([program, *_words(options)]),
        datalist=options["datalist"].name,
        section="training",
        seed=options["seed"],
        weights_sha256={name: file_sha256(path) for name, path in weights.items()},
        checkpoint_sha256=file_sha256(options["checkpoint"]) if options["checkpoint"] else None,
    )


def write_origin(origin: Origin, output_dir: Path) -> None:
    """Write ``diagnosis.json``, whole or not at all.

    Args:
        origin: of the files that are there already.
        output_dir: their folder.

    Raises:
        RefusedInputError: the file system does not let us.
    """
    write_json(output_dir / "diagnosis.json", asdict(origin))


def _words(options: Mapping[str, Any]) -> Iterator[str]:
    """Options as they are typed; those that are off or empty are left out."""
    for name, value in options.items():
        if value is None or value is False or value == []:
            continue
        yield f"--{name}"
        if value is not True:
            yield from (it.name if isinstance(it, Path) else str(it) for it in ensure_tuple(value))
