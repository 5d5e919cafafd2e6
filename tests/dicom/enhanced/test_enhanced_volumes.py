"""Which frames make up a volume, and which are no slices of anatomy."""

import numpy as np
import pytest
from pydicom.sequence import Sequence

from bundle.tat.data.datalist import find_scans
from bundle.tat.dicom.reader import read_series
from bundle.tat.dicom.study import find_series, list_study
from bundle.tat.refusal import RefusedInputError
from tests.dicom_sources import stored_values
from tests.enhanced_sources import item, write_enhanced

N_PLACES = 3


def stack(index: int) -> tuple[int, int]:
    """Which of two volumes a frame is of, and its place there."""
    return divmod(index, N_PLACES)


def set_place(groups, index: int) -> None:
    """Frames of the second volume lie at the places of the first."""
    groups.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -20.0, 30.0 + 2.5 * stack(index)[1]]
    groups.FrameContentSequence[0].DimensionIndexValues = [1, stack(index)[1] + 1]


def by_stack(groups, index):
    groups.FrameContentSequence[0].StackID = str(stack(index)[0] + 1)


def by_time(groups, index):
    groups.FrameContentSequence[0].TemporalPositionIndex = stack(index)[0] + 1


def by_echo(groups, index):
    groups.MREchoSequence = item(EffectiveEchoTime=20.0 + 60 * stack(index)[0])


def by_b_value(groups, index):
    groups.MRDiffusionSequence = item(DiffusionBValue=1000.0 * stack(index)[0], DiffusionDirectionality="ISOTROPIC")


def by_direction(groups, index):
    along = [0.0, 0.0, 1.0] if stack(index)[0] else [1.0, 0.0, 0.0]
    groups.MRDiffusionSequence = item(
        DiffusionBValue=1000.0,
        DiffusionDirectionality="DIRECTIONAL",
        DiffusionGradientDirectionSequence=item(DiffusionGradientOrientation=along),
    )


def by_heart(groups, index):
    groups.CardiacSynchronizationSequence = item(NominalCardiacTriggerDelayTime=40.0 + 300 * stack(index)[0])


def by_dimension(groups, index):
    groups.FrameContentSequence[0].DimensionIndexValues = [stack(index)[0] + 1, stack(index)[1] + 1]


def point_elsewhere(image, _):
    """The first index is that of the temporal position, the second that of the place."""
    image.DimensionIndexSequence[0].DimensionIndexPointer = 0x00200100


@pytest.mark.parametrize("tell", [by_stack, by_time, by_echo, by_b_value, by_direction, by_heart, by_dimension])
@pytest.mark.parametrize("n_files", [1, 3])
def test_volumes_at_one_place_are_told_apart(tmp_path, tell, n_files):
    stored = stored_values("MR", 2 * N_PLACES)

    def change(groups, index):
        set_place(groups, index)
        tell(groups, index)

    order = [0, 3, 1, 4, 2, 5]
    write_enhanced(
        tmp_path / "series", stored, "MR", order=order, n_files=n_files, change=point_elsewhere, change_frame=change
    )
    contents = list_study(tmp_path / "series")
    assert not contents.skipped
    volumes = sorted((read_series(series).values for series in contents.series), key=lambda values: values[0, 0, 0])
    expected = sorted((stored[:3].T, stored[3:].T), key=lambda values: values[0, 0, 0])
    np.testing.assert_array_equal(volumes, expected)


def test_a_file_of_several_volumes_gives_as_many_results(tmp_path):
    def change(groups, index):
        set_place(groups, index)
        by_b_value(groups, index)

    (path,) = write_enhanced(tmp_path / "series", stored_values("MR", 6), "MR", change_frame=change)
    assert [item["case"] for item in find_scans(path).items] == ["object0_1", "object0_2"]
    assert len(find_scans(path.parent).items) == 2
    with pytest.raises(RefusedInputError, match="holds 2 volumes"):
        find_series([path])


def test_each_file_may_hold_a_time_point(tmp_path):
    stored = stored_values("MR", 6)
    write_enhanced(tmp_path / "series", stored, "MR", n_files=2, change_frame=set_place)
    first, second = (read_series(series).values for series in list_study(tmp_path / "series").series)
    np.testing.assert_array_equal(first, stored[:3].T)
    np.testing.assert_array_equal(second, stored[3:].T)


def test_what_nothing_tells_apart_is_refused_by_frame(tmp_path):
    (path,) = write_enhanced(tmp_path / "series", stored_values("MR", 6), "MR", change_frame=set_place)
    with pytest.raises(RefusedInputError, match=r"frame 1 of object0.dcm and frame 4 of object0.dcm"):
        read_series(find_series([path]))


def test_a_number_for_each_frame_tells_nothing_apart(tmp_path):
    def change(groups, index):
        set_place(groups, index)
        groups.FrameContentSequence[0].FrameAcquisitionNumber = index

    write_enhanced(tmp_path / "series", stored_values("MR", 6), "MR", change_frame=change)
    (series,) = list_study(tmp_path / "series").series
    with pytest.raises(RefusedInputError, match="lie at one place"):
        read_series(series)


@pytest.mark.parametrize(
    ("modality", "changes", "reason"),
    [
        ("MR", {"ComplexImageComponent": "PHASE"}, "a phase image"),
        ("MR", {"FrameType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}, "a map of diffusion"),
        ("MR", {"FrameType": ["ORIGINAL", "PRIMARY", "VELOCITY", "VELOCITY"]}, "a velocity image"),
        ("CT", {"FrameType": ["DERIVED", "PRIMARY", "VOLUME", "EFF_ATOMIC_NUM"]}, "a spectral map"),
        ("CT", {"VolumeBasedCalculationTechnique": "MAX_IP"}, "a projection"),
        ("PT", {"VolumeBasedCalculationTechnique": "VOLUME_RENDER"}, "a rendered image"),
        ("CT", {"FrameType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]}, "localizer"),
        ("MR", {"VolumetricProperties": "DISTORTED"}, "a distorted volume"),
    ],
)
def test_what_is_no_slice_of_anatomy_is_skipped_by_name(tmp_path, modality, changes, reason):
    def change(image, _):
        groups = image.SharedFunctionalGroupsSequence[0]
        for group in ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence"):
            for one in groups.get(group, []):
                for name, value in changes.items():
                    setattr(one, name, value)

    write_enhanced(tmp_path / "series", stored_values(modality), modality, change=change)
    contents = list_study(tmp_path)
    assert not contents.series
    assert [skipped.n_images for skipped in contents.skipped] == [3]
    assert reason in contents.skipped[0].reason


def test_maps_beside_the_images_of_one_file_are_left_out(tmp_path):
    """The scanner puts the trace and its ADC map into one object."""
    stored = stored_values("MR", 6)

    def change(groups, index):
        set_place(groups, index)
        kind = ["ORIGINAL", "PRIMARY", "DIFFUSION", "ADC" if stack(index)[0] else "NONE"]
        groups.MRImageFrameTypeSequence = item(FrameType=kind, ComplexImageComponent="MAGNITUDE")

    (path,) = write_enhanced(tmp_path / "series", stored, "MR", change_frame=change)
    np.testing.assert_array_equal(read_series(find_series([path])).values, stored[:3].T)
    (skipped,) = list_study(tmp_path).skipped
    assert skipped.n_images == 3


def test_legacy_attributes_that_were_not_assigned_are_heard(tmp_path):
    def change(groups, index):
        groups.UnassignedPerFrameConvertedAttributesSequence = Sequence(item(ImageType=["DERIVED", "SECONDARY", "MIP"]))
        groups.CTImageFrameTypeSequence = Sequence([])

    def forget(image, _):
        image.SharedFunctionalGroupsSequence[0].pop("CTImageFrameTypeSequence")

    write_enhanced(tmp_path / "series", stored_values("CT"), "CT", legacy=True, change=forget, change_frame=change)
    (skipped,) = list_study(tmp_path).skipped
    assert "projection" in skipped.reason
