import numpy as np
import pytest

from bundle.tat.cases.progress import count_slices, one_bar
from bundle.tat.data.datalist import find_scans
from bundle.tat.inferers.slices import RestorationSliceInferer
from tests.scans import blobs, write_dicom_series, write_nifti


def test_the_total_follows_what_is_found_out(capsys):
    """The second case has fewer slices than it seemed, the third fails after one, the last was not known of."""
    inferer = RestorationSliceInferer()
    with one_bar(inferer, [10, 20, 5, 0]) as progress:
        bar, totals = inferer.bar, []
        for index, (n_slices, n_done) in enumerate([(10, 10), (15, 15), (5, 1), (7, 7)]):
            progress.begin(index)
            progress.restore(index, n_slices)
            totals.append(bar.total)
            bar.update(n_done)
            progress.end(index)
    assert totals == [35, 30, 30, 33]
    assert bar.total == bar.n == 33
    assert inferer.bar is None
    assert "case 4 of 4, restoring" in capsys.readouterr().err


def test_no_bar_is_shown_that_is_not_wanted(capsys):
    with one_bar(RestorationSliceInferer(progress=False), [3]) as progress:
        progress.begin(0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("shape", "axis", "n_slices"), [((9, 8, 7), 2, 7), ((9, 8, 7), 0, 9), ((9, 8), 2, 1)])
def test_slices_of_a_file_are_in_its_header(tmp_path, shape, axis, n_slices):
    path = write_nifti(tmp_path / "x.nii.gz", blobs(shape, 0, 1))
    assert count_slices({"image": str(path)}, axis) == n_slices


def test_a_series_has_a_file_for_each_slice(tmp_path):
    write_dicom_series(tmp_path / "series", np.zeros((4, 8, 6), dtype=np.int16))
    (item,) = find_scans(tmp_path / "series").items
    assert [count_slices(item, axis) for axis in range(3)] == [6, 8, 4]
    assert count_slices({"image": str(tmp_path / "series")}, 2) == 0, "nobody has looked into it"


def test_slices_of_a_bad_file_are_not_known(tmp_path):
    (tmp_path / "x.nii").write_bytes(b"garbage")
    assert count_slices({"image": str(tmp_path / "x.nii")}, 2) == 0
