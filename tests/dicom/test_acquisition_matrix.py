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
        ([292, 0, 0, 256], (0.5, 0.5)),
        ([0, 256, 292, 0], (0.5, 0.5)),
        ([1024, 0, 0, 384], (1.0, 0.75)),
        ([0, 0, 0, 0], None),
        ([256, 0, 0], None),
        (None, None),
    ],
    ids=["frequency along rows", "phase along rows", "cut from more", "zeros", "three values", "none"],
)
def test_the_matrix_tells_columns_and_rows(matrix, shares):
    assert acquired_shares(image(matrix)) == shares


@pytest.mark.parametrize("matrix", [[256, 0, 0, 128], [0, 256, 128, 0]], ids=["for COL", "for ROW"])
def test_the_direction_of_phase_encoding_tells_which_axis_its_lines_are_of(matrix):
    by_row, by_column = (image(matrix, rows=256, columns=256, direction=word) for word in ("ROW", "COL"))
    assert acquired_shares(by_row) == (0.5, 1.0)
    assert acquired_shares(by_column) == (1.0, 0.5)


def test_a_real_image_that_is_stored_as_acquired_fills_both_axes():
    """96 rows of 128 columns, ``decimal_rescale.dcm`` of nibabel's tests: the places tell what the direction tells."""
    alone, directed = (image([128, 0, 0, 96], rows=96, columns=128, direction=word) for word in (None, "COL"))
    assert acquired_shares(alone) == acquired_shares(directed) == (1.0, 1.0)
