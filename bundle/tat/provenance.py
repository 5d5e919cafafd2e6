"""What made a result: written with a derived series, with scores and with a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """What made a result.

    Args:
        weights_sha256: SHA-256 of the weights file in hexadecimal digits; ``None`` when no file is known.
        version: version of the bundle.
    """

    weights_sha256: str | None
    version: str

    def columns(self) -> dict[str, str | None]:
        """The columns of a table that hold these values, by their names."""
        return {"weights_sha256": self.weights_sha256, "bundle_version": self.version}
