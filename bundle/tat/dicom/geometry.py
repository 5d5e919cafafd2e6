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
# line of the others: real series, obliques above all, wander by a few per cent; a missing slice doubles one distance.
SPACING_TOLERANCE: Final = 0.1
# Small differences add up along a stack; a slice that is farther than this part of the distance from its place in an
# even stack would be nearer to its neighbour's.
PLACE_TOLERANCE: Final = 0.5
# Slices no farther apart than this [mm] are at one place; the thinnest slices, of small animals, are five times it.
SAME_PLACE_TOLERANCE: Final = 1e-3
# Slices must be parallel: direction cosines may differ by this much.
ORIENTATION_TOLERANCE: Final = 1e-3
# Pixel spacings of one series may differ by this part, for programs that write them with other numbers of digits.
PIXEL_SPACING_TOLERANCE: Final = 1e-4
# DICOM's axes point to the left, back and head of the patient; NIfTI's and MONAI's to the right, front and head.
LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


def refine_plane(image: Dataset, rows: FourierGrid, columns: FourierGrid) -> None:
    """Put an image on a finer grid of the same field of view; its pixels are left as they are.

    Args:
        image: data set with its plane; changed in place.
        rows: the grid along which the rows follow each other.
        columns: the one along a row.

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


def order_slices(images: Sequence[DicomHeader], path: Path) -> list[DicomHeader]:
    """Order parallel slices along their normal and refuse gaps.

    Args:
        images: headers of one series, each with its geometry.
        path: where they come from, for the message.

    Returns:
        The headers, ordered by position; towards the head, the left or the back, whichever is the normal's sense.

    Raises:
        RefusedInputError: slices are duplicate, missing, unevenly spaced or out of line.
    """
    normal = slice_normal(images[0])
    ordered = sorted(images, key=lambda image: float(np.asarray(image.position) @ normal))
    _check_duplicates(ordered, path)
    if len(ordered) > 1:
        positions = np.array([image.position for image in ordered])
        _check_distances(positions @ normal, path)
        _check_line(positions, normal, path)
    return ordered


def _check_duplicates(images: Sequence[DicomHeader], path: Path) -> None:
    """Refuse ordered slices that are there twice."""
    seen: dict[tuple[str, int | None], Path] = {}
    for image in images:
        identity = image.instance_uid, image.frame
        if image.instance_uid and identity in seen:
            names = f"{seen[identity].name} and {image.path.name}"
            raise RefusedInputError(
                f"{path}: {names} are copies of one image (one SOP Instance UID): remove one of them"
            )
        seen[identity] = image.path
    for index, (one, other) in enumerate(pairwise(images)):
        if math.dist(one.position, other.position) <= SAME_PLACE_TOLERANCE:
            raise RefusedInputError(
                f"{path}: slices {index + 1} and {index + 2} of {len(images)} ({one.label} and {other.label}) "
                "lie at one place: of several time points, echoes or b-values, pass each in a folder of its own"
            )


def _check_distances(along: NDArray[np.float64], path: Path) -> None:
    """Refuse slices that are not evenly spaced along their normal [mm]."""
    gaps = np.diff(along)
    median = float(np.median(gaps))
    uneven = np.flatnonzero(np.abs(gaps - median) > SPACING_TOLERANCE * median)
    if median <= SAME_PLACE_TOLERANCE:
        raise RefusedInputError(
            f"{path} holds slices beside each other in one plane: pass one series of stacked slices"
        )
    if not uneven.size:
        return
    where = int(uneven[0])
    n_steps = round(float(gaps[where]) / median)
    whole = n_steps > 1 and abs(gaps[where] - n_steps * median) <= SPACING_TOLERANCE * median
    missing = "1 slice is missing" if n_steps == 2 else f"{n_steps - 1} slices are missing"
    raise RefusedInputError(
        f"{path}: slices {where + 1} and {where + 2} of {len(along)} are {gaps[where]:.3f} mm apart, the others "
        f"{median:.3f} mm: {f'{missing} between them' if whole else 'pass one series of evenly spaced slices'}"
    )


def _check_line(positions: NDArray[np.float64], normal: NDArray[np.float64], path: Path) -> None:
    """Refuse positions [mm] that do not lie on one line, each at its place in an even stack."""
    off = positions - np.linspace(positions[0], positions[-1], len(positions))
    distance = float((positions[-1] - positions[0]) @ normal) / (len(positions) - 1)
    along = off @ normal
    sideways = np.linalg.norm(off - np.outer(along, normal), axis=1)
    for deviation, bound, where in (
        (sideways, SPACING_TOLERANCE, "beside the line of the others"),
        (np.abs(along), PLACE_TOLERANCE, "from its place in an even stack"),
    ):
        if deviation.max() > bound * distance:
            index = int(deviation.argmax())
            raise RefusedInputError(
                f"{path}: slice {index + 1} of {len(positions)} lies {deviation[index]:.3f} mm {where}: pass one "
                "series of evenly spaced slices"
            )


def affine_lps(images: Sequence[DicomHeader]) -> NDArray[np.float64]:
    """Affine from ``(column, row, slice)`` indices to LPS millimetres.

    Args:
        images: ordered headers of one series.

    Returns:
        ``(4, 4)``; the slice step is the mean step from the first to the last slice, so that a slanted stack (a tilted
        gantry) keeps its slant; a single slice steps along its normal by its thickness.

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
