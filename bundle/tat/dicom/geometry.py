"""Where the slices of a DICOM series lie, and whether they make up a volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from bundle.tat.dicom.header import DicomHeader
from bundle.tat.kspace.fourier_grid import FourierGrid
from bundle.tat.refusal import RefusedInputError

if TYPE_CHECKING:
    from pydicom import Dataset

# Distances between neighbouring slices may differ by this part of their median, and slices may lie as far beside the
# line of the others. In real series, above all oblique ones, they vary by a few per cent; a missing slice doubles one.
SPACING_TOLERANCE: Final = 0.1
# Small differences add up along a stack; a slice that is farther than this part of the distance from its place in an
# even stack would be nearer to its neighbour's.
PLACE_TOLERANCE: Final = 0.5
# Slices no farther apart than this [mm] are at one place; the thinnest slices, of small animals, are five times it.
SAME_PLACE_TOLERANCE: Final = 1e-3
# Programs round positions to this step [mm]; a larger one would hide a missing slice of thin ones.
ROUNDED_TO: Final = 0.1
# Largest part of the slice distance that rounding may explain: a missing slice changes a distance by all of it.
MOST_OF_ROUNDING: Final = 0.4
# Thicknesses are equal that differ by less than this part.
THICKNESS_TOLERANCE: Final = 0.1
# Slices must be parallel: direction cosines may differ by this much.
ORIENTATION_TOLERANCE: Final = 1e-3
# Pixel spacings of one series may differ by this part, for programs that write them with other numbers of digits.
PIXEL_SPACING_TOLERANCE: Final = 1e-4
_ONE_EVEN_SERIES: Final = "pass one series of evenly spaced slices, or restore it to DICOM only, without NIfTI"
# DICOM's axes point to the left, back and head of the patient; NIfTI's and MONAI's to the right, front and head.
LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


def refine_plane(image: Dataset, rows: FourierGrid, columns: FourierGrid) -> None:
    """Put an image on a finer grid of the same field of view; its pixels are left as they are.

    Args:
        image: data set with its plane; changed in place.
        rows: grid along which the rows follow each other.
        columns: grid along a row.

    Raises:
        RefusedInputError: the image has other numbers of rows and columns.

    Source:
        DICOM PS3.3 C.7.6.2.1.1: Image Position is the centre of the first pixel, Pixel Spacing the distance of rows,
        then of columns.
    """
    from pydicom.valuerep import format_number_as_ds

    if (image.Rows, image.Columns) != (rows.n, columns.n):
        raise RefusedInputError(f"it has {image.Rows} rows and {image.Columns} columns, not {rows.n} and {columns.n}")
    between_rows, between_columns = (float(value) for value in image.PixelSpacing)
    orientation = np.asarray([float(value) for value in image.ImageOrientationPatient])
    position = np.asarray([float(value) for value in image.ImagePositionPatient])
    position += columns.first_centre * between_columns * orientation[:3]
    position += rows.first_centre * between_rows * orientation[3:]
    image.ImagePositionPatient = [format_number_as_ds(float(value)) for value in position]
    sides = (between_rows * rows.n / rows.n_fine, between_columns * columns.n / columns.n_fine)
    image.PixelSpacing = [format_number_as_ds(side) for side in sides]
    image.Rows, image.Columns = rows.n_fine, columns.n_fine


def share_plane(one: DicomHeader, other: DicomHeader) -> bool:
    """Whether two images are parallel and have pixels of one size.

    Args:
        one: header.
        other: header.
    """
    if len(one.orientation) != len(other.orientation) or len(one.spacing) != len(other.spacing):
        return False
    turned = (abs(a - b) for a, b in zip(one.orientation, other.orientation, strict=True))
    scaled = zip(one.spacing, other.spacing, strict=True)
    return max(turned, default=0.0) <= ORIENTATION_TOLERANCE and all(
        math.isclose(a, b, rel_tol=PIXEL_SPACING_TOLERANCE) for a, b in scaled
    )


def order_slices(images: Sequence[DicomHeader], path: Path, *, allow_uneven: bool = False) -> list[DicomHeader]:
    """Order parallel slices along their normal and refuse gaps.

    Args:
        images: headers of one series, each with its geometry.
        path: where they come from, for the message.
        allow_uneven: accept slices whose distances vary, as in a head CT with thin slices at the skull base. A series
            with a missing slice is still refused.

    Returns:
        The headers, ordered by position in the direction of the slice normal.

    Raises:
        RefusedInputError: slices are duplicate, missing, out of line, or unevenly spaced.
    """
    normal = slice_normal(images[0])
    ordered = sorted(images, key=lambda image: float(np.asarray(image.position) @ normal))
    _check_duplicates(ordered, path)
    if len(ordered) > 1:
        positions = np.array([image.position for image in ordered])
        _check_distances(ordered, positions @ normal, path, allow_uneven=allow_uneven)
        _check_line(ordered, positions, path, allow_uneven=allow_uneven)
    return ordered


def is_even(images: Sequence[DicomHeader]) -> bool:
    """Whether images are slices of one evenly spaced stack.

    Args:
        images: headers, each with its geometry.
    """
    try:
        order_slices(images, Path())
    except RefusedInputError:
        return False
    return True


def _check_duplicates(images: Sequence[DicomHeader], path: Path) -> None:
    """Refuse ordered slices that lie at one place."""
    for index, (one, other) in enumerate(pairwise(images)):
        if math.dist(one.position, other.position) > SAME_PLACE_TOLERANCE:
            continue
        names = f"{one.label} and {other.label}"
        if one.instance_uid and (one.instance_uid, one.frame) == (other.instance_uid, other.frame):
            raise RefusedInputError(
                f"{path}: {names} are copies of one image (one SOP Instance UID): remove one of them"
            )
        raise RefusedInputError(
            f"{path}: slices {index + 1} and {index + 2} of {len(images)} ({names}) "
            "lie at one place: put each time point, echo or b-value in a folder of its own, and pass one"
        )


def _check_distances(
    images: Sequence[DicomHeader], along: NDArray[np.float64], path: Path, *, allow_uneven: bool
) -> None:
    """Refuse missing slices and, unless allowed, distances along the normal [mm] that vary."""
    gaps = np.diff(along)
    median = float(np.median(gaps))
    if median <= SAME_PLACE_TOLERANCE:
        raise RefusedInputError(
            f"{path} holds slices beside each other in one plane: pass one series of stacked slices"
        )
    # What is missing makes a gap of two distances or more.
    for where in np.flatnonzero(gaps > (2 - MOST_OF_ROUNDING) * gaps.min()):
        n_missing, usual = _count_missing(images, gaps, int(where))
        if n_missing:
            missing = "1 slice is missing" if n_missing == 1 else f"{n_missing} slices are missing"
            raise RefusedInputError(f"{_apart(path, gaps, int(where), usual)}: {missing} between them")
    uneven = np.flatnonzero(np.abs(gaps - median) > _tolerance(images, SPACING_TOLERANCE, median))
    if uneven.size and not allow_uneven:
        raise RefusedInputError(f"{_apart(path, gaps, int(uneven[0]), median)}: {_ONE_EVEN_SERIES}")


def _apart(path: Path, gaps: NDArray[np.float64], where: int, usual: float) -> str:
    """How far two slices are apart, for a sentence."""
    place = f"slices {where + 1} and {where + 2} of {len(gaps) + 1}"
    return f"{path}: {place} are {gaps[where]:.3f} mm apart, the others {usual:.3f} mm"


def _count_missing(images: Sequence[DicomHeader], gaps: NDArray[np.float64], where: int) -> tuple[int, float]:
    """How many slices of one thickness are missing in a gap, and the distance of the others of that thickness [mm]."""
    thickness = np.array([image.thickness for image in images])
    alike = np.isclose(thickness, thickness[where], rtol=THICKNESS_TOLERANCE)
    if not alike[where + 1]:
        return 0, 0.0
    # Of two distances the lower one: the other may be the gap.
    usual = float(np.quantile(gaps[alike[:-1] & alike[1:]], 0.5, method="lower"))
    n_steps = round(float(gaps[where]) / usual)
    whole = n_steps > 1 and abs(gaps[where] - n_steps * usual) <= _tolerance(images, SPACING_TOLERANCE, usual)
    return (n_steps - 1 if whole else 0), usual


def _tolerance(images: Sequence[DicomHeader], part: float, distance: float) -> float:
    """How much a distance [mm] may deviate: by a part of it, or by more where the positions were rounded.

    In an even stack with rounded positions, the steps of each coordinate have two neighbouring values. So a distance
    along the normal deviates by at most ``ROUNDED_TO`` times the sum of the normal's components.
    """
    tenths = np.array([image.position for image in images]) / ROUNDED_TO
    if not np.allclose(tenths, np.rint(tenths), rtol=0, atol=1e-6):
        return part * distance
    rounding = 1.001 * ROUNDED_TO * float(np.abs(slice_normal(images[0])).sum())
    return max(part * distance, min(rounding, MOST_OF_ROUNDING * distance))


def _check_line(
    images: Sequence[DicomHeader], positions: NDArray[np.float64], path: Path, *, allow_uneven: bool
) -> None:
    """Refuse positions [mm] that do not lie on one line or, unless allowed, not at their places in an even stack."""
    along = (positions - positions[0]) @ slice_normal(images[0])
    distance = float(along[-1]) / (len(positions) - 1)
    line = positions[0] + np.outer(along / along[-1], positions[-1] - positions[0])
    sideways = np.linalg.norm(positions - line, axis=1)
    from_place = np.abs(along - np.linspace(0.0, along[-1], len(along)))
    checks = [(sideways, _tolerance(images, SPACING_TOLERANCE, distance), "beside the line of the others")]
    if not allow_uneven:
        checks.append((from_place, PLACE_TOLERANCE * distance, "from its place in an even stack"))
    for deviation, bound, where in checks:
        if deviation.max() > bound:
            index = int(deviation.argmax())
            raise RefusedInputError(
                f"{path}: slice {index + 1} of {len(positions)} lies {deviation[index]:.3f} mm {where}: "
                f"{_ONE_EVEN_SERIES}"
            )


def affine_lps(images: Sequence[DicomHeader]) -> NDArray[np.float64]:
    """Affine from ``(column, row, slice)`` indices to LPS millimetres.

    Args:
        images: ordered headers of one series.

    Returns:
        ``(4, 4)``. The slice step is the mean step from the first to the last slice, so that a slanted stack (a tilted
        gantry) keeps its slant. A single slice steps along its normal by its thickness. For uneven slices, only the
        places of the first and the last one are exact.

    Source:
        DICOM PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1.
    """
    first, last = images[0], images[-1]
    row_spacing, column_spacing = first.spacing
    if len(images) > 1:
        step = (np.asarray(last.position) - np.asarray(first.position)) / (len(images) - 1)
    else:
        step = slice_normal(first) * first.thickness
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(first.orientation[:3]) * column_spacing
    affine[:3, 1] = np.asarray(first.orientation[3:]) * row_spacing
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return affine


def slice_normal(image: DicomHeader) -> NDArray[np.float64]:
    """Unit normal of a slice [LPS].

    Args:
        image: header with an orientation.
    """
    normal = np.cross(image.orientation[:3], image.orientation[3:])
    unit: NDArray[np.float64] = normal / np.linalg.norm(normal)
    return unit
