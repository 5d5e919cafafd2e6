import os
import shutil

import numpy as np
import pytest

from bundle.tat.cases.fingerprint import fingerprint, n_bytes
from bundle.tat.data.datalist import find_scans
from tests.scans import write_dicom_series


@pytest.fixture
def series(tmp_path):
    """A DICOM series of three slices that are larger than what is looked at of each."""
    write_dicom_series(tmp_path / "series", np.arange(3 * 200 * 200, dtype=np.int16).reshape(3, 200, 200))
    return tmp_path / "series"


@pytest.fixture
def volume(tmp_path):
    """A file of another format."""
    path = tmp_path / "scan.nii"
    path.write_bytes(bytes(index % 251 for index in range(100_000)))
    return path


def test_a_folder_a_list_and_what_the_search_found_are_one_case(series):
    files = sorted(series.iterdir())
    (found,) = find_scans(series).items
    items = [{"image": str(series)}, {"image": [str(file) for file in reversed(files)]}, found]
    assert {n_bytes(item) for item in items} == {sum(file.stat().st_size for file in files)}
    assert len({fingerprint(item) for item in (items[0], items[2])}) == 1


def test_a_case_that_was_moved_is_the_same(series, tmp_path):
    before = fingerprint({"image": str(series)})
    shutil.move(series, tmp_path / "elsewhere")
    assert fingerprint({"image": str(tmp_path / "elsewhere")}) == before


@pytest.mark.parametrize("name", [".DS_Store", "notes.txt", "._0003.dcm", "thumbs.db"])
def test_a_foreign_file_beside_the_slices_changes_nothing(series, name):
    before = fingerprint({"image": str(series)})
    (series / name).write_bytes(b"of another program")
    assert fingerprint({"image": str(series)}) == before
    assert fingerprint(find_scans(series).items[0]) == before


@pytest.mark.parametrize("place", [0, 9, 50_000, 99_999])
def test_a_changed_value_makes_another_case(volume, place):
    item, times = {"image": str(volume)}, volume.stat()
    before = fingerprint(item)
    content = bytearray(volume.read_bytes())
    content[place] ^= 1
    volume.write_bytes(content)
    os.utime(volume, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint(item) != before


def test_a_changed_pixel_makes_another_series(series):
    before = fingerprint({"image": str(series)})
    file = sorted(series.iterdir())[1]
    times = file.stat()
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint({"image": str(series)}) != before


def test_a_change_anywhere_shows_in_the_time(volume):
    before = fingerprint({"image": str(volume)})
    os.utime(volume, ns=(1, 1))
    assert fingerprint({"image": str(volume)}) != before


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="nowhere does not exist"):
        fingerprint({"image": str(tmp_path / "nowhere")})


def test_a_pair_changes_with_its_voxels(tmp_path):
    (tmp_path / "a.hdr").write_bytes(b"header")
    (tmp_path / "a.img").write_bytes(b"voxels")
    first = fingerprint({"image": str(tmp_path / "a.hdr")})
    assert fingerprint({"image": str(tmp_path / "a.img")}) == first
    (tmp_path / "a.img").write_bytes(b"other!")
    assert fingerprint({"image": str(tmp_path / "a.hdr")}) != first
    assert n_bytes({"image": str(tmp_path / "a.hdr")}) == 12
