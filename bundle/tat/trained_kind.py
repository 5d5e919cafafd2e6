"""What weights were trained on: the kinds of scans that they may be used for, written in a file beside them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedKind:
    """The scans that weights were trained on.

    Args:
        pixel_sizes: smallest and largest pixel side of the slices [mm].
        mri_kept: smallest and largest share of an axis of k-space that MR images kept; ``None`` where nothing is said.
        mri_one_axis_whole: whether one of the two axes may also be whole.
    """

    pixel_sizes: Mapping[Modality, tuple[float, float]]
    mri_kept: tuple[float, float] | None = None
    mri_one_axis_whole: bool = False


def kind_file(weights: Path) -> Path:
    """Where it is written: ``model.json`` beside ``model.pt``.

    Args:
        weights: file of the weights.
    """
    return weights.with_suffix(".json")


def read_trained_kind(weights: str) -> TrainedKind:
    """Read what weights were trained on.

    Args:
        weights: file of the weights.

    Returns:
        What ``model.json`` beside ``model.pt`` says. Where there is no such file nothing is known, which a warning
        tells.

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
        kept = content.get("mri_kept")
        return TrainedKind(
            pixel_sizes=sizes,
            mri_kept=None if kept is None else (float(kept[0]), float(kept[1])),
            mri_one_axis_whole=bool(content.get("mri_one_axis_whole", False)),
        )
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise RefusedInputError(
            f"{file} does not say what the weights were trained on: {error!r}; see {__name__}"
        ) from error
