from pathlib import Path

import pytest

from bundle.tat.formats import case_name, files_of, header_file, is_volume_file, is_voxel_file

ALONE = ("a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.mgz", "a.mgh", "a.NII", "a.MHA")
PAIRS = (
    ("a.hdr", "a.img"),
    ("a.hdr.gz", "a.img.gz"),
    ("a.HDR", "a.IMG"),
    ("a.mhd", "a.raw"),
    ("a.mhd", "a.zraw"),
    ("a.nhdr", "a.raw.gz"),
)


@pytest.mark.parametrize("name", ALONE)
def test_a_volume_in_one_file_is_a_scan(name):
    assert is_volume_file(Path(name))
    assert case_name(Path(name)) == "a"


@pytest.mark.parametrize(("header", "voxels"), PAIRS)
def test_a_header_and_its_voxels_are_one_scan(tmp_path, header, voxels):
    for name in (header, voxels):
        (tmp_path / name).touch()
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_volume_file(path)] == [header]
    assert is_voxel_file(tmp_path / voxels)
    assert header_file(tmp_path / voxels) == header_file(tmp_path / header) == tmp_path / header
    assert case_name(tmp_path / header) == "a"
    assert files_of(tmp_path / voxels) == files_of(tmp_path / header) == [tmp_path / header, tmp_path / voxels]


def test_voxels_without_a_header_are_not_dropped_without_a_word(tmp_path):
    (tmp_path / "a.img").touch()
    assert is_volume_file(tmp_path / "a.img")
    assert header_file(tmp_path / "a.img") == tmp_path / "a.img"


@pytest.mark.parametrize("name", ["a.dcm", "a.bin", "a.json", "a.png", "a.raw", "a"])
def test_what_is_no_volume_is_not_listed(name):
    assert not is_volume_file(Path(name))
