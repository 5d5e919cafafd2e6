"""The JSON that converters such as dcm2niix and BIDS put beside a scan."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bundle.tat.data.bids import ParticipantEntry, participant_entry, read_json, sidecar_files
from bundle.tat.data.datalist import IMAGE_KEY, series_of
from bundle.tat.dicom.sorting.image_kind import not_a_slice
from bundle.tat.refusal import RefusedInputError

# Entry of an item with the sidecar of its image; ``None`` where it has none.
SIDECAR_KEY: Final = "sidecar"
_MISSING: Final = (None, "", "n/a")


@dataclass(frozen=True)
class Sidecar:
    """What the JSON beside a scan says about it, read once.

    Args:
        path: of the file of the scan's own name, or else of the nearest file that it inherits from.
        fields: the entries by name; nearer files replace those of files further up.
        participant_weight: body weight that the data set's table of participants has.
    """

    path: Path
    fields: Mapping[str, object]
    participant_weight: ParticipantEntry | None = None

    @property
    def modality(self) -> str | None:
        """Modality (0008,0060), as converters write it."""
        return self.text("Modality") or None

    @property
    def not_a_slice_reason(self) -> str | None:
        """Why the scan is no volume of anatomy, by Image Type (0008,0008) as converters write it."""
        from pydicom import Dataset

        image = Dataset()
        image.Modality = "MR" if self.modality is None else self.modality
        values = self.fields.get("ImageType")
        image.ImageType = [str(value) for value in values] if isinstance(values, list) else self.text("ImageType")
        image.ComplexImageComponent = self.text("ComplexImageComponent") or None
        return not_a_slice(image, "")

    @property
    def digest(self) -> str:
        """Digest of the entries, since the result depends on them."""
        entries = json.dumps([self.fields, self.participant_weight], sort_keys=True)
        return hashlib.sha256(entries.encode()).hexdigest()

    def text(self, name: str) -> str:
        """An entry as text; empty where it is missing or not available."""
        value = self.fields.get(name)
        return "" if value in _MISSING else str(value).strip()

    def number(self, name: str) -> float | None:
        """An entry as a number; ``None`` where it is missing or not available.

        Raises:
            RefusedInputError: it is something else.
        """
        numbers = self.numbers(name)
        if len(numbers) > 1:
            raise RefusedInputError(f"{name} in {self.path.name} has {len(numbers)} values instead of 1: correct it")
        return numbers[0] if numbers else None

    def numbers(self, name: str) -> tuple[float, ...]:
        """An entry as one or several numbers; empty where it is missing or not available.

        Raises:
            RefusedInputError: it is something else.
        """
        value = self.fields.get(name)
        if value in _MISSING:
            return ()
        numbers = tuple(map(_as_number, value if isinstance(value, list) else [value]))
        if not numbers or not all(map(math.isfinite, numbers)):
            raise RefusedInputError(f"{name} in {self.path.name} is not a number: correct it")
        return numbers


def read_sidecar(path: Path) -> Sidecar | None:
    """Read the JSON beside a scan.

    Args:
        path: of a scan in a file of its own.

    Returns:
        ``None`` where there is none.

    Raises:
        RefusedInputError: it cannot be read.
    """
    files = sidecar_files(path)
    if not files:
        return None
    fields: dict[str, object] = {}
    for file in files:
        fields.update(read_json(file))
    return Sidecar(files[-1], fields, participant_entry(path, "weight")) if fields else None


def sidecar_of(item: Mapping[str, Any]) -> Sidecar | None:
    """The sidecar of a scan: the one in its item, or the one that is read now.

    Args:
        item: entry of a datalist.

    Returns:
        ``None`` for DICOM, whose header has these values, and where there is no sidecar.

    Raises:
        RefusedInputError: it cannot be read.
    """
    if SIDECAR_KEY in item:
        known: Sidecar | None = item[SIDECAR_KEY]
        return known
    return read_sidecar(Path(str(item[IMAGE_KEY]))) if series_of(item) is None else None


def _as_number(value: object) -> float:
    """A number or text that holds one; not a number for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except ValueError:
        return math.nan
