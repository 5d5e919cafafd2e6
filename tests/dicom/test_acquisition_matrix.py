import pydicom
import pytest

from bundle.tat.dicom.acquisition_matrix import acquired_shares


def image(matrix, rows=512, columns=584):
    dataset = pydicom.Dataset()
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
