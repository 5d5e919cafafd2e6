"""How many k-space lines an MR image says that it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

# Metadata entry with the shares of columns and rows that were acquired: JSON, since MONAI's batches keep text as it is.
ACQUIRED_SHARES: Final = "acquired_shares"
_N_VALUES: Final = 4


def acquired_shares(image: Dataset) -> tuple[float, float] | None:
    """How many lines were acquired over how many pixels are stored.

    A matrix that is larger than what is stored was cut, so that the share is 1 at most. Its words do not count rows and
    columns: "frequency rows" are samples along a row, so as many columns, and "phase columns" are lines along a column,
    so as many rows. Scanners of GE, Siemens and Toshiba write it so (``findings/acquisition-matrix-rows.sh``). The
    direction of phase encoding is believed over the places, where the header has it.

    Args:
        image: pydicom data set of an MR image.

    Returns:
        The shares of columns and of rows, the axes of the array that ``read_series`` gives; ``None`` where the header
        does not tell.

    Source:
        Acquisition Matrix (0018,1310), PS3.3 C.8.3.1: frequency rows, frequency columns, phase rows, phase columns; of
        either pair one is 0. In-plane Phase Encoding Direction (0018,1312), likewise: ROW or COL.
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
