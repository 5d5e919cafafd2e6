import pydicom
import pytest

from bundle.tat.dicom.acquisition_matrix import acquired_shares


def image(matrix, rows=512, columns=584, direction=None):
    dataset = pydicom.Dataset()
    if direction:
        dataset.InPlanePhaseEncodingDirection = direction
    dataset.Rows, dataset.Columns, dataset.AcquisitionMatrix = rows, columns, matrix
    return dataset


@pytest.mark.parametrize(
    ("matrix", "shares"),
    [
        ([256, 0, 0, 292], (0.5, 0.5)),
        ([0, 292, 256, 0], (0.5, 0.5)),
        ([0, 1024, 384, 0], (1.0, 0.75)),
        ([0, 0, 0, 0], None),
        ([256, 0, 0], None),
        (None, None),
    ],
    ids=["rows by frequency", "rows by phase", "cut from more", "zeros", "three values", "none"],
)
def test_the_matrix_tells_columns_and_rows(matrix, shares):
    assert acquired_shares(image(matrix)) == shares


@pytest.mark.parametrize("matrix", [[256, 0, 0, 128], [0, 256, 128, 0]], ids=["by the standard", "as some write it"])
def test_the_direction_of_phase_encoding_tells_which_axis_its_lines_are_of(matrix):
    by_row, by_column = (image(matrix, rows=256, columns=256, direction=word) for word in ("ROW", "COL"))
    assert acquired_shares(by_row) == (0.5, 1.0)
    assert acquired_shares(by_column) == (1.0, 0.5)
