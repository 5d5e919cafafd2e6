import logging
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import SecondaryCaptureImageStorage

from bundle.tat.dicom.study import list_study
from bundle.tat.refusal import RefusedInputError
from tests.scans import edit_dicom, write_dicom_series

PIXELS = np.zeros((6, 6, 7), dtype=np.int16)


def add(folder: Path, name: str, *, start: float = 30.0, change=None, n_slices: int = 6, **tags: object) -> None:
    """Six slices 2.5 mm apart and as thick, in files of this name; ``change`` gives tags of each slice."""
    apart = folder.with_name(f"{folder.name}-{name}")
    for index, path in enumerate(write_dicom_series(apart, PIXELS[:n_slices], origin=(-10.0, -20.0, start), **tags)):
        edit_dicom(path, SOPInstanceUID=f"1.2.3.{name.encode().hex()[:8]}.{index}".replace(".0", ".9"))
        if change:
            edit_dicom(path, **change(index))
        path.rename(folder / f"{name}_{path.name}")


def volumes(folder: Path) -> dict[str, list[str]]:
    """Name of each volume -> what its files are called after."""
    return {one.name: sorted({file.name.split("_")[0] for file in one.files}) for one in list_study(folder).series}


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("keyword", "values", "names"),
    [
        ("AcquisitionNumber", (3, 7), ("acquisition3", "acquisition7")),
        ("TemporalPositionIdentifier", (1, 2), ("time1", "time2")),
        ("EchoNumbers", (1, 2), ("echo1", "echo2")),
        ("EchoTime", (4.6, 9.2), ("echo1", "echo2")),
        ("ConvolutionKernel", ("B30f", "B70f"), ("kernel1", "kernel2")),
        ("DiffusionBValue", (0.0, 1000.0), ("diffusion1", "diffusion2")),
        ("FrameReferenceTime", (30000.0, 90000.0), ("time1", "time2")),
        ("ContentTime", ("110000", "110700"), ("time1", "time2")),
    ],
)
def test_images_at_one_place_are_told_apart(study, keyword, values, names):
    for name, value in zip("ab", values, strict=True):
        add(study, name, **{keyword: value})
    assert volumes(study) == {f"study_{names[0]}": ["a"], f"study_{names[1]}": ["b"]}


@settings(max_examples=10, deadline=None)
@given(n_phases=st.integers(2, 4), n_echoes=st.integers(1, 3))
def test_every_combination_is_a_volume(tmp_path_factory, n_phases, n_echoes):
    study = tmp_path_factory.mktemp("x") / "study"
    study.mkdir()
    for phase in range(n_phases):
        for echo in range(n_echoes):
            add(study, f"{phase}{echo}", n_slices=3, TemporalPositionIdentifier=phase + 1, EchoNumbers=echo + 1)
    found = volumes(study)
    assert len(found) == n_phases * n_echoes
    assert all(len(names) == 1 for names in found.values())


def test_phases_are_told_apart_by_the_order_of_their_slices_in_time(study):
    """Each slice has a time of its own, so no value is shared by a phase."""
    for phase, name in enumerate("ab"):
        add(study, name, change=lambda index, phase=phase: {"AcquisitionTime": f"11{index + 20 * phase:02d}00"})
    assert volumes(study) == {"study_time1": ["a"], "study_time2": ["b"]}


@pytest.mark.parametrize("shift", [0.3, 1.25, 2.0])
def test_shifted_phases_are_never_one_volume(study, shift):
    add(study, "a", AcquisitionNumber=1)
    add(study, "b", AcquisitionNumber=2, start=30.0 + shift)
    assert volumes(study) == {"study_acquisition1": ["a"], "study_acquisition2": ["b"]}


def test_interleaved_slices_are_one_volume(study):
    """Two acquisitions of every other slice: neither is a volume, as its slices do not touch."""
    for number, name in enumerate("ab"):
        add(study, name, step=(0, 0, 5.0), start=30 + 2.5 * number, AcquisitionNumber=number + 1)
    assert volumes(study) == {"study": ["a", "b"]}


def test_beds_above_each_other_are_one_volume(study):
    for number, name in enumerate("ab"):
        add(study, name, start=30 + 15.0 * number, AcquisitionNumber=number + 1)
    assert volumes(study) == {"study": ["a", "b"]}


def test_images_at_one_place_that_nothing_tells_apart_are_refused(study):
    add(study, "a")
    add(study, "b")
    (one,) = list_study(study).series
    with pytest.raises(RefusedInputError, match="lie at one place"):
        one.slices()


def test_a_slice_that_was_repeated_is_no_volume(study):
    add(study, "a", AcquisitionNumber=1)
    add(study, "b", n_slices=1, AcquisitionNumber=2)
    (one,) = list_study(study).series
    with pytest.raises(RefusedInputError, match="lie at one place"):
        one.slices()


def test_without_uids_the_series_number_tells(study):
    for number, name in ((2, "a"), (3, "b")):
        add(study, name, series_uid="", SeriesNumber=number)
    assert volumes(study) == {"study_2": ["a"], "study_3": ["b"]}


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "SeriesInstanceUID"])
def test_a_uid_of_its_own_in_each_image_makes_no_volumes_of_one_slice(study, keyword):
    add(study, "a", change=lambda index: {keyword: f"1.7.{index + 1}"})
    (one,) = list_study(study).series
    assert len(one.slices()) == 6
    assert one.assumption.startswith("each of 6 images has a ")
    assert keyword.lower() in one.assumption.replace(" ", "").lower()


def test_images_that_are_no_stack_keep_their_uids_with_a_word(study, caplog):
    heights = [30.0, 32.5, 99.0]
    add(
        study,
        "a",
        n_slices=3,
        change=lambda index: {
            "SeriesInstanceUID": f"1.7.{index + 1}",
            "ImagePositionPatient": [-10.0, -20.0, heights[index]],
        },
    )
    with caplog.at_level(logging.WARNING):
        assert len(list_study(study).series) == 3
    assert "3 images in" in caplog.text
    assert "give them one Series Instance UID" in caplog.text


def test_two_images_with_uids_of_their_own_are_two_series(study):
    add(study, "a", n_slices=2, change=lambda index: {"SeriesInstanceUID": f"1.7.{index + 1}"})
    assert len(list_study(study).series) == 2


@pytest.mark.parametrize(
    "tags",
    [
        {"SOPClassUID": SecondaryCaptureImageStorage},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
        {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3},
        {"ImageType": ["DERIVED", "SECONDARY", "CSA MIP"]},
    ],
)
def test_a_capture_within_a_series_does_not_refuse_it(study, tags):
    add(study, "a")
    add(study, "capture", n_slices=1, **tags)
    contents = list_study(study)
    assert volumes(study) == {"study": ["a"]}
    assert [item.n_images for item in contents.skipped] == [1]


def test_a_study_of_ct_pet_and_a_rotating_image_gives_two(tmp_path):
    write_dicom_series(tmp_path / "ct", PIXELS, series_uid="1.1")
    write_dicom_series(tmp_path / "pet", PIXELS, series_uid="1.2", modality="PT")
    rotating = ["DERIVED", "PRIMARY", "OTHER", "CSA MIP", "", "CSAPARALLEL"]
    write_dicom_series(tmp_path / "rotating", PIXELS, series_uid="1.3", modality="PT", ImageType=rotating)
    contents = list_study(tmp_path)
    assert [one.name for one in contents.series] == ["ct", "pet"]
    assert [(item.name, item.reason) for item in contents.skipped] == [
        ("rotating", "a projection, which is no slice of a volume")
    ]


def test_an_image_without_a_class_is_refused_before_anything_is_read(study):
    add(study, "a")
    for path in study.iterdir():
        image = pydicom.dcmread(path)
        del image.SOPClassUID, image.file_meta.MediaStorageSOPClassUID
        image.save_as(path)
    contents = list_study(study)
    assert not contents.series
    assert "no SOP Class UID (0008,0016)" in contents.reasons
    assert "fill in" in contents.reasons
