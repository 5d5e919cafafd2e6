"""Checking that results are of the weights of a page or a picture, so that figures of two files are not mixed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bundle.tat.cases.record import read_record
from bundle.tat.refusal import RefusedInputError


def check_restored_by(weights_sha256: str | None, folders: Iterable[Path], *, message: str) -> None:
    """Refuse restorations by other weights.

    Args:
        weights_sha256: SHA-256 of the right weights.
        folders: of restored cases; a folder without a record has no weights.
        message: text after the name of the folder in a refusal.

    Raises:
        RefusedInputError: a case is of other weights.
    """
    for folder in sorted(folders):
        record = read_record(folder)
        if record is None or record.provenance.weights_sha256 != weights_sha256:
            raise RefusedInputError(f"{folder} {message}")
