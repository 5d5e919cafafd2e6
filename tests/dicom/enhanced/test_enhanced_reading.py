"""Enhanced series against the same series as classic slices: values, geometry, order, unit."""

import tracemalloc

import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from bundle.tat.dicom.reader import read_series, reread_sources
from bundle.tat.dicom.study import find_series, list_study
from bundle.tat.refusal import RefusedInputError
from tests.dicom_sources import stored_values, write_source
from tests.enhanced_sources import write_enhanced


def read(folder):
    return read_series(find_series([folder]))


def assert_same_volume(one, other):
    """Two volumes have the same values at the same places."""
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-6)
    assert (one.modality, one.padding) == (other.modality, other.padding)


@pytest.fixture(params=["CT", "MR", "PT"])
def modality(request) -> str:
    return request.param


@pytest.mark.parametrize("is_shared", [True, False], ids=["shared groups", "groups of each frame"])
@pytest.mark.parametrize("legacy", [False, True], ids=["Enhanced", "Legacy Converted"])
def test_it_is_the_volume_of_the_classic_series(tmp_path, modality, legacy, is_shared):
    stored = stored_values(modality, 5)
    write_source(tmp_path / "classic", stored, modality)
    write_enhanced(tmp_path / "enhanced", stored, modality, legacy=legacy, is_shared=is_shared)
    assert_same_volume(read(tmp_path / "enhanced"), read(tmp_path / "classic"))


@settings(max_examples=8)
@given(order=st.permutations(range(5)), n_files=st.integers(1, 5))
def test_order_and_number_of_the_files_do_not_matter(tmp_path_factory, order, n_files):
    folder, stored = tmp_path_factory.mktemp("series"), stored_values("PT", 5)
    write_enhanced(folder / "one", stored, "PT")
    write_enhanced(folder / "other", stored, "PT", order=order, n_files=n_files)
    assert_same_volume(read(folder / "other"), read(folder / "one"))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_transfer_syntaxes(tmp_path, syntax, modality):
    stored = stored_values(modality, 3)
    write_enhanced(tmp_path / "one", stored, modality)
    write_enhanced(tmp_path / "other", stored, modality, syntax=syntax)
    assert_same_volume(read(tmp_path / "other"), read(tmp_path / "one"))


def test_big_endian(tmp_path):
    stored = stored_values("MR", 3)
    write_enhanced(tmp_path / "one", stored, "MR")
    write_enhanced(tmp_path / "other", stored.astype(">u2"), "MR", syntax=ExplicitVRBigEndian)
    assert_same_volume(read(tmp_path / "other"), read(tmp_path / "one"))


def test_compressed_frames(tmp_path):
    stored = stored_values("CT", 3)
    (path,) = write_enhanced(tmp_path / "one", stored, "CT")
    expected = read(tmp_path / "one")
    image = pydicom.dcmread(path)
    image.file_meta.TransferSyntaxUID = RLELossless
    image.PixelData = encapsulate([_as_rle(frame) for frame in stored])
    image["PixelData"].VR = "OB"
    image.save_as(path)
    assert_same_volume(read(tmp_path / "one"), expected)


def _as_rle(frame: np.ndarray) -> bytes:
    """Two segments of literal runs, PS3.5 G: the upper bytes first."""
    segments = []
    for plane in (frame >> 8, frame & 0xFF):
        flat = plane.astype(np.uint8).tobytes()
        runs = b"".join(bytes([len(run) - 1]) + run for run in (flat[i : i + 128] for i in range(0, len(flat), 128)))
        segments.append(runs + b"\0" * (len(runs) % 2))
    offsets = np.zeros(16, "<u4")
    offsets[:3] = 2, 64, 64 + len(segments[0])
    return offsets.tobytes() + b"".join(segments)


def test_voxels_lie_where_simpleitk_puts_them(tmp_path):
    stored = stored_values("CT", 4)

    def turn_all(image, _):
        (shared,) = image.SharedFunctionalGroupsSequence
        shared.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    def turn(groups, index):
        groups.PlanePositionSequence[0].ImagePositionPatient = [-7.0 - 2.5 * index, 4.0, 9.0]

    (path,) = write_enhanced(tmp_path / "series", stored, "CT", change=turn_all, change_frame=turn)
    volume, image = read(tmp_path / "series"), SimpleITK.ReadImage(str(path))
    np.testing.assert_array_equal(volume.values, SimpleITK.GetArrayFromImage(image).T)
    for index in ((0, 0, 0), (9, 0, 0), (0, 11, 0), (9, 11, 3)):
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((volume.affine @ (*index, 1))[:3], (-x, -y, z), atol=1e-4)


def test_frames_are_read_one_at_a_time(tmp_path):
    n_frames, rows, columns = 60, 128, 128
    stored = np.zeros((n_frames, rows, columns), np.uint16)
    stored += np.arange(n_frames, dtype=np.uint16)[:, None, None]
    write_enhanced(tmp_path / "series", stored, "CT")
    series = find_series([tmp_path / "series"])
    read_series(series)  # what is imported and cached once
    tracemalloc.start()
    volume = read_series(series)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * volume.values.nbytes
    np.testing.assert_array_equal(volume.values[5, 7], np.arange(n_frames) - 1024)


def test_a_truncated_object_is_refused(tmp_path):
    (path,) = write_enhanced(tmp_path / "series", stored_values("CT", 3), "CT")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RefusedInputError, match="ends before its last frame"):
        read(tmp_path / "series")


def test_another_number_of_frames_than_is_described_is_refused(tmp_path):
    def claim(image, _):
        image.NumberOfFrames = 4

    write_enhanced(tmp_path / "series", stored_values("CT", 3), "CT", change=claim)
    (skipped,) = list_study(tmp_path).skipped
    assert "multi-frame (4 frames) without functional groups of each frame" in skipped.reason


def test_frames_without_a_frame_of_reference_are_read(tmp_path):
    def remove(image, _):
        del image.FrameOfReferenceUID

    write_enhanced(tmp_path / "series", stored_values("CT", 3), "CT", change=remove)
    assert read(tmp_path / "series").values.shape == (10, 12, 3)


def test_what_is_kept_for_writing_is_read_again(tmp_path):
    stored = stored_values("MR", 4)
    write_enhanced(tmp_path / "series", stored, "MR", n_files=2, order=[2, 0, 3, 1])
    volume = read(tmp_path / "series")
    again = list(reread_sources(volume.metadata))
    assert [(source.frames, source.slices) for source in again] == [
        (source.frames, source.slices) for source in volume.sources
    ]
    assert [source.image for source in again] == [source.image for source in volume.sources]


def test_missing_slices_are_named(tmp_path):
    write_enhanced(tmp_path / "series", stored_values("CT", 6), "CT", order=[0, 1, 2, 4, 5])
    with pytest.raises(RefusedInputError, match="1 slice is missing between them"):
        read(tmp_path / "series")
