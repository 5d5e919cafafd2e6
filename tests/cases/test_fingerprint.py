import os
import shutil

import pytest

from bundle.tat.cases.fingerprint import case_files, fingerprint, n_bytes


@pytest.fixture
def series(tmp_path):
    """A folder of three files, of which the last is large."""
    for name, size in (("1", 10), ("2", 0), ("3", 100_000)):
        (tmp_path / "series").mkdir(exist_ok=True)
        (tmp_path / "series" / name).write_bytes(bytes(index % 251 for index in range(size)))
    return tmp_path / "series"


def test_a_folder_a_list_and_a_file_are_files(series):
    files = [series / name for name in "123"]
    assert list(case_files({"image": str(series)})) == files
    assert list(case_files({"image": [str(file) for file in files]})) == files
    assert list(case_files({"image": str(files[2])})) == files[2:]
    assert n_bytes({"image": str(series)}) == 100_010


def test_a_case_that_was_moved_is_the_same(series, tmp_path):
    before = fingerprint({"image": str(series)})
    shutil.move(series, tmp_path / "elsewhere")
    assert fingerprint({"image": str(tmp_path / "elsewhere")}) == before


@pytest.mark.parametrize("place", [0, 9, 50_000, 99_999])
def test_a_changed_value_makes_another_case(series, place):
    file = series / ("1" if place < 10 else "3")
    item, times = {"image": str(series)}, file.stat()
    before = fingerprint(item)
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint(item) != before


def test_a_change_anywhere_shows_in_the_time(series):
    before = fingerprint({"image": str(series)})
    os.utime(series / "2", ns=(1, 1))
    assert fingerprint({"image": str(series)}) != before


def test_a_missing_file_is_refused_by_name(series):
    with pytest.raises(ValueError, match=r"cannot read .*nowhere"):
        fingerprint({"image": str(series / "nowhere")})
