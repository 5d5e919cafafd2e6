from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import RTStructureSetStorage

from bundle.tat.dicom.study import Skipped, list_study
from tests.scans import edit_dicom, write_dicom_series

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
PIXELS = np.zeros((4, 6, 7), dtype=np.int16)
SAGITTAL = (0, 1, 0, 0, 0, -1)


def series(folder):
    return {one.name: [str(file.relative_to(folder)) for file in one.files] for one in list_study(folder).series}


def names(folder):
    return [one.name for one in list_study(folder).series]


def gather(folder, **series_by_name):
    """Put the files of series in one folder, each with the name of its series in front."""
    for name, paths in series_by_name.items():
        for path in paths:
            path.rename(folder / f"{name}_{path.name}")


@settings(max_examples=15)
@given(folders=st.lists(st.sampled_from(["a", "a/b", "c"]), min_size=4, max_size=4))
def test_a_series_is_one_wherever_its_files_are(tmp_path_factory, folders):
    study = tmp_path_factory.mktemp("study")
    for path, folder in zip(write_dicom_series(study / "all", PIXELS), folders, strict=True):
        (study / folder).mkdir(parents=True, exist_ok=True)
        path.rename(study / folder / path.name)
    (one,) = list_study(study).series
    assert len(one.files) == 4
    assert one.is_alone == (len(set(folders)) == 1)


def test_images_without_a_series_uid_are_one_series_for_each_folder(tmp_path):
    for folder, start in (("a", 0.0), ("b", 10.0)):
        write_dicom_series(tmp_path / folder, PIXELS, series_uid="", origin=(0, 0, start))
    assert names(tmp_path) == ["a", "b"]


def test_copies_in_two_folders_are_a_series_each(tmp_path):
    for folder in ("series", "series/backup"):
        write_dicom_series(tmp_path / folder, PIXELS)
    assert {name: len(files) for name, files in series(tmp_path).items()} == {"series": 4, "backup": 4}
    assert [one.is_alone for one in list_study(tmp_path).series] == [False, True]


@pytest.mark.parametrize(
    "other",
    [
        {"orientation": SAGITTAL},
        {"spacing": (1.6, 1.6)},
        {"series_uid": "1.2.4"},
        {"modality": "MR"},
        {"StudyInstanceUID": "1.3"},
        {"FrameOfReferenceUID": "1.4"},
    ],
)
def test_images_that_differ_are_of_two_series(tmp_path, other):
    gather(
        tmp_path,
        one=write_dicom_series(tmp_path / "x", PIXELS),
        two=write_dicom_series(tmp_path / "y", PIXELS[:2], **other),
    )
    assert sorted(len(files) for files in series(tmp_path).values()) == [2, 4]


def test_a_matrix_of_another_size_is_another_series(tmp_path):
    gather(
        tmp_path,
        one=write_dicom_series(tmp_path / "x", PIXELS),
        two=write_dicom_series(tmp_path / "y", np.zeros((2, 8, 8), dtype=np.int16)),
    )
    assert sorted(len(files) for files in series(tmp_path).values()) == [2, 4]


def test_directions_with_few_decimals_are_the_same(tmp_path):
    edit_dicom(write_dicom_series(tmp_path, PIXELS)[0], ImageOrientationPatient=[0.9999, 0, 0, 0, 0.9999, 0])
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("tags", [{}, {"orientation": SAGITTAL}])
def test_a_scout_with_the_uid_of_the_series_is_skipped(tmp_path, tags):
    scout = write_dicom_series(tmp_path / "y", PIXELS[:1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], **tags)
    gather(tmp_path, one=write_dicom_series(tmp_path / "x", PIXELS), scout=scout)
    (one,) = list_study(tmp_path).series
    assert (one.name, len(one.files), one.is_alone) == (tmp_path.name, 4, False)
    reason = "a localizer (scout), which is no slice of a volume"
    assert list_study(tmp_path).skipped == (Skipped("scout_0003.dcm", 1, reason),)


def test_series_of_one_folder_are_named_by_their_numbers(tmp_path):
    written = {
        name: write_dicom_series(tmp_path / name, PIXELS, series_uid=f"1.2.{index}", SeriesNumber=number)
        for index, (name, number) in enumerate({"a": 12, "b": 3, "c": 3}.items())
    }
    gather(tmp_path, **written)
    folder = tmp_path.name
    assert names(tmp_path) == [f"{folder}_3", f"{folder}_3_2", f"{folder}_12"]


def test_series_without_numbers_are_counted(tmp_path):
    written = {name: write_dicom_series(tmp_path / name, PIXELS, series_uid=f"1.{name}") for name in ("1", "2")}
    gather(tmp_path, **written)
    assert names(tmp_path) == [tmp_path.name, f"{tmp_path.name}_2"]


def test_a_series_with_an_image_that_cannot_be_restored_is_listed_whole(tmp_path):
    edit_dicom(write_dicom_series(tmp_path, PIXELS)[3], PhotometricInterpretation="MONOCHROME1")
    assert [len(files) for files in series(tmp_path).values()] == [4]


def test_everything_that_is_skipped_is_told_with_its_reason(tmp_path):
    write_dicom_series(tmp_path / "ct", PIXELS)
    write_dicom_series(tmp_path / "us", PIXELS, modality="US", series_uid="1.3")
    capture = write_dicom_series(tmp_path / "captures", PIXELS[:2], series_uid="1.4")
    for path in capture:
        edit_dicom(path, PhotometricInterpretation="RGB", SamplesPerPixel=3)
    for path in write_dicom_series(tmp_path / "plan", PIXELS[:2], series_uid="1.5"):
        edit_dicom(path, SOPClassUID=RTStructureSetStorage, Rows=None)
    (tmp_path / "plan" / "broken.dcm").touch()
    (tmp_path / "README").write_text("a disc")
    (tmp_path / "linked").symlink_to(tmp_path / "ct")
    assert names(tmp_path) == ["ct"]
    assert list(list_study(tmp_path).skipped) == [
        Skipped("README", 0, "not DICOM"),
        Skipped("captures", 2, "RGB pixels: only MONOCHROME2 is restored"),
        Skipped("linked", 0, "a link to a folder is not followed: pass it by itself"),
        Skipped("plan", 0, "no pixels (RT Structure Set Storage), 2 files"),
        Skipped("plan/broken.dcm", 0, "is empty (0 bytes): fetch it again"),
        Skipped("us", 4, "modality 'US' is not one that TAT restores: CT, MRI, PET"),
    ]


def test_damaged_files_belong_to_the_series_beside_them(tmp_path):
    write_dicom_series(tmp_path / "ct", PIXELS)
    (tmp_path / "ct" / "broken.dcm").touch()
    contents = list_study(tmp_path)
    assert tmp_path / "ct" / "broken.dcm" in contents.series[0].files
    assert contents.skipped == ()


def test_hidden_files_are_left_out(tmp_path):
    path = write_dicom_series(tmp_path / "ct", PIXELS)[0]
    path.with_name("._0003.dcm").write_bytes(b"notes of an Apple system")
    (tmp_path / ".snapshot").mkdir()
    (tmp_path / ".snapshot" / "x.dcm").write_bytes(path.read_bytes())
    assert [len(files) for files in series(tmp_path).values()] == [4]
    assert list_study(tmp_path).skipped == ()


def test_links_do_not_lead_in_circles(tmp_path):
    write_dicom_series(tmp_path / "ct", PIXELS)
    (tmp_path / "ct" / "loop").symlink_to(tmp_path)
    assert [len(files) for files in series(tmp_path).values()] == [4]


def test_linked_files_are_read(tmp_path):
    (tmp_path / "links").mkdir()
    for path in write_dicom_series(tmp_path / "store", PIXELS):
        (tmp_path / "links" / path.name).symlink_to(path)
    assert series(tmp_path / "links") == {"links": ["0003.dcm", "0010.dcm", "0017.dcm", "0024.dcm"]}


def test_a_real_disc():
    """Three patients of pydicom's test files: the images of a series in a folder, a DICOMDIR on top."""
    contents = list_study(PYDICOM_FILES / "dicomdirtests")
    found = {one.name: len(one.files) for one in contents.series}
    assert found["CT5N"] == 5
    assert found["CT2"] == 4
    skipped = {item.name: item.reason for item in contents.skipped}
    assert skipped["98892001/CT2N"] == "a localizer (scout), which is no slice of a volume"
    assert skipped["77654033/CR1/6154"] == "modality 'CR' is not one that TAT restores: CT, MRI, PET"
    assert skipped["TINY_ALPHA/DICOMDIR"] == "no pixels (Media Storage Directory Storage)"
