"""What weights were trained on: the kinds of scans that they may be used for, written in a file beside them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

# Share of a pixel side by which it may lie outside the range: sizes are stored in float32.
SIZE_TOLERANCE: Final = 0.001


@dataclass(frozen=True)
class TrainedKind:
    """The scans that weights were trained on.

    Args:
        pixel_sizes: smallest and largest pixel side of the slices [mm].
        mri_kept: smallest and largest share of an axis of k-space that MR images kept; ``None`` where it is not known.
        mri_kept_beside_whole: the same of the other axis where one axis is whole; ``None`` where no axis may be whole.
    """

    pixel_sizes: Mapping[Modality, tuple[float, float]]
    mri_kept: tuple[float, float] | None = None
    mri_kept_beside_whole: tuple[float, float] | None = None


def kind_file(weights: Path) -> Path:
    """The file that says what weights were trained on: ``model.json`` beside ``model.pt``.

    Args:
        weights: file of the weights.
    """
    return weights.with_suffix(".json")


def read_trained_kind(weights: str) -> TrainedKind:
    """Read what weights were trained on.

    Args:
        weights: file of the weights.

    Returns:
        What ``model.json`` beside ``model.pt`` says. Without such a file nothing is known, and a warning is logged.

    Raises:
        RefusedInputError: the file cannot be understood.
    """
    file = kind_file(Path(weights).expanduser())
    if not file.is_file():
        logger.warning("no %s beside the weights: pixel sizes and resolution of scans are not checked", file.name)
        return TrainedKind({})
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        sizes = {Modality(name): (float(low), float(high)) for name, (low, high) in content["pixel_sizes"].items()}
        return TrainedKind(
            pixel_sizes=sizes,
            mri_kept=_as_interval(content.get("mri_kept")),
            mri_kept_beside_whole=_as_interval(content.get("mri_kept_beside_whole")),
        )
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise RefusedInputError(
            f"{file} does not say what the weights were trained on ({error!r}): take the file that was released with "
            "the weights, or remove it, and nothing of this kind is checked"
        ) from error


def _as_interval(bounds: Sequence[float] | None) -> tuple[float, float] | None:
    if bounds is None:
        return None
    low, high = bounds
    return float(low), float(high)
