"""The number of k-space lines that an MR image was made from, by its header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

# Metadata entry with the shares of columns and rows that were acquired: JSON, since MONAI's batches keep text as it is.
ACQUIRED_SHARES: Final = "acquired_shares"
_N_VALUES: Final = 4


def acquired_shares(image: Dataset) -> tuple[float, float] | None:
    """Lines that were acquired, divided by the pixels that are stored.

    A matrix that is larger than the stored image was cut, so that the share is 1 at most. The names of its values do
    not count rows and columns. "Frequency rows" are samples along a row, hence columns of the image. "Phase columns"
    are lines along a column, hence rows of the image. Scanners of GE, Siemens and Toshiba write it so
    (``findings/acquisition-matrix-rows.sh``). Where the header has the direction of phase encoding, it decides instead.

    Args:
        image: pydicom data set of an MR image.

    Returns:
        The shares of columns and of rows, the axes of the array that ``read_series`` gives; ``None`` where the header
        does not have them.

    Source:
        Acquisition Matrix (0018,1310), PS3.3 C.8.3.1: frequency rows, frequency columns, phase rows, phase columns; of
        either pair one is 0. In-plane Phase Encoding Direction (0018,1312), in the same section: ROW or COL.
    """
    try:
        matrix = [int(value) for value in image.get("AcquisitionMatrix") or ()]
        stored = int(image.Columns), int(image.Rows)
    except (TypeError, ValueError, AttributeError):
        return None
    if len(matrix) != _N_VALUES:
        return None
    columns, rows = max(matrix[0], matrix[2]), max(matrix[1], matrix[3])
    frequency, phase = max(matrix[:2]), max(matrix[2:])
    direction = str(image.get("InPlanePhaseEncodingDirection"))
    if direction == "ROW":
        columns, rows = phase, frequency
    elif direction in ("COL", "COLUMN"):
        columns, rows = frequency, phase
    if min(columns, rows, *stored) <= 0:
        return None
    return min(columns / stored[0], 1.0), min(rows / stored[1], 1.0)
