"""The stored quality of a scan: numbers as JSON in its record, and the slices that a report shows."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bundle.tat.atomic import written_whole
from bundle.tat.metrics.uptake import HotPlace
from bundle.tat.modality import Modality
from bundle.tat.quality.measures import CaseMeasures, SliceMeasures
from bundle.tat.quality.verdict import Judgement, Verdict

# Beside the record; arrays only, and never pickled.
FILE_NAME: Final = "quality.npz"
# Entry of a case's data, and of its answer to MONAI Label.
QUALITY_KEY: Final = "quality"
# Digits that are kept of a number.
_DIGITS: Final = 5

Slice = NDArray[np.float32]


@dataclass(frozen=True)
class ShownSlice:
    """A slice that a report shows.

    Args:
        index: of the slice, from 0.
        image: slice before ``(H, W)``, in the modality's unit.
        restored: slice after ``(H, W)``, in the same unit.
        disagreement: standard deviation of the results of eight flips and rotations ``(H, W)``, in the same unit;
            ``None`` unless the report is thorough.
    """

    index: int
    image: Slice
    restored: Slice
    disagreement: Slice | None = None


@dataclass(frozen=True)
class ShownSlices:
    """The slices that a report shows, and their geometry.

    Args:
        worst: slice with the largest chance of harm.
        median: slice whose chance of harm is the median.
        affine: indices along the two axes of a slice and along the slices to right, anterior, superior [mm] ``(4, 4)``.
    """

    worst: ShownSlice
    median: ShownSlice
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """Measures and verdict of a restored scan, made without a clean scan.

    Args:
        measures: of the scan.
        judgement: the verdict on the measures.
        shown: slices for the report; ``None`` where no slice could be measured, or after reading a record.
    """

    measures: CaseMeasures
    judgement: Judgement
    shown: ShownSlices | None = None


def to_json(quality: Quality) -> dict[str, Any]:
    """The JSON form of the numbers.

    Args:
        quality: of a scan.

    Returns:
        What ``from_json`` reads.
    """
    measures = asdict(quality.measures)
    measures["modality"] = quality.measures.modality.value
    # A named tuple would be a list without names.
    measures["places"] = [place._asdict() for place in quality.measures.places]
    return {**asdict(quality.judgement), "measures": _rounded(measures)}


def from_json(content: Mapping[str, Any]) -> Quality:
    """Numbers from their JSON form; a wrong form raises ``KeyError``, ``TypeError`` or ``ValueError``."""
    told = dict(content)
    entries = dict(told.pop("measures"))
    entries["modality"] = Modality(entries["modality"])
    entries["slices"] = tuple(SliceMeasures(**{**one, "spectrum": tuple(one["spectrum"])}) for one in entries["slices"])
    entries["places"] = tuple(
        HotPlace(tuple(one["voxel"]), tuple(one["suv_max"]), tuple(one["suv_peak"])) for one in entries["places"]
    )
    entries["kspace_kept"] = tuple(entries["kspace_kept"])
    entries["pixel_sides"] = tuple(entries["pixel_sides"])
    entries["activity"] = None if entries["activity"] is None else tuple(entries["activity"])
    verdict: Verdict = told["verdict"]
    return Quality(CaseMeasures(**entries), Judgement(verdict, tuple(told["reasons"]), told["harm"], told["edges"]))


def write_shown(folder: Path, shown: ShownSlices) -> None:
    """Write the slices that a report shows, whole or not at all.

    Half precision is enough to look at, and halves the file.

    Args:
        folder: of the case.
        shown: what to write.

    Raises:
        RefusedInputError: the folder cannot be written to.
    """
    arrays: dict[str, NDArray[Any]] = {"affine": shown.affine}
    for name, one in (("worst", shown.worst), ("median", shown.median)):
        arrays[f"{name}_index"] = np.array(one.index)
        arrays[f"{name}_image"], arrays[f"{name}_restored"] = _half(one.image), _half(one.restored)
        if one.disagreement is not None:
            arrays[f"{name}_disagreement"] = _half(one.disagreement)
    with written_whole(folder / FILE_NAME) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)


def read_shown(folder: Path) -> ShownSlices | None:
    """Read the slices that a report shows.

    Args:
        folder: of the case.

    Returns:
        The slices; ``None`` where the file is missing or cannot be read.
    """
    try:
        # NumPy leaves a damaged file open that it opened itself.
        with (folder / FILE_NAME).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return ShownSlices(_shown("worst", arrays), _shown("median", arrays), arrays["affine"].astype(np.float64))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None


def _shown(name: str, arrays: Mapping[str, NDArray[Any]]) -> ShownSlice:
    disagreement = arrays.get(f"{name}_disagreement")
    return ShownSlice(
        int(arrays[f"{name}_index"]),
        arrays[f"{name}_image"].astype(np.float32),
        arrays[f"{name}_restored"].astype(np.float32),
        None if disagreement is None else disagreement.astype(np.float32),
    )


def _half(values: Slice) -> NDArray[np.float16]:
    largest = float(np.finfo(np.float16).max)
    return values.clip(-largest, largest).astype(np.float16)


def _rounded(value: Any) -> Any:
    """The same content with few digits, at any depth."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
