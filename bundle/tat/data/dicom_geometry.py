"""Where the slices of a DICOM series lie, and whether they make up a volume."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.refusal import RefusedInputError

# Distances between neighbouring slices may differ by this part of their median, and slices may lie as far beside the line
# of the others: real series, obliques above all, wander by a few per cent, while a missing slice doubles one distance.
SPACING_TOLERANCE: Final = 0.1
# Slices must be parallel: direction cosines may differ by this much.
ORIENTATION_TOLERANCE: Final = 1e-3
# DICOM's axes point to the left, back and head of the patient; NIfTI's and MONAI's to the right, front and head.
LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])

Dataset = Any  # pydicom is imported where files are read: programs that read NIfTI alone need not load it


def order_slices(images: Sequence[Dataset], path: Path) -> list[Dataset]:
    """Order slices along their normal and refuse gaps.

    Args:
        images: data sets of one series.
        path: where they come from, for the message.

    Returns:
        The data sets, ordered by position; towards the head, the left or the back, whichever is the normal's sense.

    Raises:
        RefusedInputError: slices are not parallel, duplicate, missing, unevenly spaced or out of line.
    """
    orientations = np.array([image.ImageOrientationPatient for image in images], dtype=float)
    if np.abs(orientations - orientations[0]).max() > ORIENTATION_TOLERANCE:
        raise RefusedInputError(f"{path} holds slices that are not parallel: pass one series of parallel slices")
    normal = slice_normal(images[0])
    ordered = sorted(images, key=lambda image: float(position(image) @ normal))
    if len(ordered) > 1:
        _check_line([position(image) for image in ordered], normal, path)
    return ordered


def _check_line(positions: Sequence[NDArray[np.float64]], normal: NDArray[np.float64], path: Path) -> None:
    """Refuse positions [mm] that are not evenly spaced on one line."""
    gaps = np.diff(np.array(positions) @ normal)
    median = float(np.median(gaps))
    uneven = np.flatnonzero(np.abs(gaps - median) > SPACING_TOLERANCE * median)
    if median <= 0 or uneven.size:
        where = int(uneven[0]) if uneven.size else 0
        raise RefusedInputError(
            f"{path}: slices {where + 1} and {where + 2} of {len(positions)} are {gaps[where]:.3f} mm apart, the others "
            f"{median:.3f} mm: a slice is missing, duplicate or of another series"
        )
    line = np.linspace(positions[0], positions[-1], len(positions))
    sideways = np.linalg.norm((np.array(positions) - line) @ (np.eye(3) - np.outer(normal, normal)), axis=1)
    if sideways.max() > SPACING_TOLERANCE * median:
        raise RefusedInputError(
            f"{path}: slice {int(sideways.argmax()) + 1} of {len(positions)} lies {sideways.max():.3f} mm beside the line of "
            "the others: pass one series"
        )


def affine_lps(images: Sequence[Dataset]) -> NDArray[np.float64]:
    """Affine from ``(column, row, slice)`` indices to LPS millimetres.

    Args:
        images: ordered data sets of one series.

    Returns:
        ``(4, 4)``; the slice step is the mean step from the first to the last slice, so that a slanted stack keeps its
        slant; a single slice steps along its normal by its thickness.

    Source:
        DICOM PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1.
    """
    first, last = images[0], images[-1]
    along_row, along_column = np.asarray(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    row_spacing, column_spacing = (float(spacing) for spacing in first.PixelSpacing)
    if len(images) > 1:
        step = (position(last) - position(first)) / (len(images) - 1)
    else:
        step = slice_normal(first) * float(first.get("SliceThickness") or 1.0)
    affine = np.eye(4)
    affine[:3, 0] = along_row * column_spacing
    affine[:3, 1] = along_column * row_spacing
    affine[:3, 2] = step
    affine[:3, 3] = position(first)
    return affine


def position(image: Dataset) -> NDArray[np.float64]:
    """Centre of the first pixel [mm, LPS], Image Position (Patient) (0020,0032)."""
    return np.asarray(image.ImagePositionPatient, dtype=float)


def slice_normal(image: Dataset) -> NDArray[np.float64]:
    """Unit normal of a slice [LPS], from Image Orientation (Patient) (0020,0037)."""
    along_row, along_column = np.asarray(image.ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(along_row, along_column)
    unit: NDArray[np.float64] = normal / np.linalg.norm(normal)
    return unit
