"""Derived Enhanced objects and classic slices of them."""

import json

import numpy as np
import pydicom
import pytest
import SimpleITK

from bundle.tat.dicom.acquisition_matrix import ACQUIRED_SHARES
from bundle.tat.dicom.derivation import Derivation
from bundle.tat.dicom.header import DicomHeader
from bundle.tat.dicom.open import read_dicom_headers
from bundle.tat.dicom.reader import read_series
from bundle.tat.dicom.study import find_series, list_study
from bundle.tat.dicom.writer import write_series
from bundle.tat.kspace.fourier_grid import FourierGrid
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.load import LoadScand
from bundle.tat.transforms.save import SaveRestoredd
from tests.dicom_sources import stored_values
from tests.enhanced_sources import ENHANCED, FRAME_TYPES, LEGACY, item, write_enhanced

PROVENANCE = Derivation("ab" * 32, "9.9", "a test")
CLASSIC = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}


def derive(folder, values=None, series=None, **options):
    """Write the derived series of a folder beside it; without values, its own."""
    volume = read_series(series or find_series([folder]))
    out = folder.with_name(f"derived{len(list(folder.parent.iterdir()))}")
    out.mkdir()
    written = write_series(
        volume.values if values is None else values, volume.sources, out, provenance=PROVENANCE, **options
    )
    return volume, written, sorted(out.iterdir())


def rescaled(image: pydicom.Dataset) -> np.ndarray:
    """Values (frames, rows, columns) under the rescale of each frame, read with nothing but pydicom."""
    (shared,) = image.SharedFunctionalGroupsSequence
    frames = []
    for pixels, groups in zip(image.pixel_array, image.PerFrameFunctionalGroupsSequence, strict=True):
        holder = groups if "PixelValueTransformationSequence" in groups else shared
        (rescale,) = holder.PixelValueTransformationSequence
        frames.append(pixels * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept))
    return np.array(frames)


@pytest.fixture(params=["CT", "MR", "PT"])
def modality(request) -> str:
    return request.param


@pytest.mark.parametrize("legacy", [False, True], ids=["Enhanced", "Legacy Converted"])
def test_the_derived_object_has_the_class_frames_and_geometry_of_its_source(tmp_path, modality, legacy):
    (path,) = write_enhanced(
        tmp_path / "series", stored_values(modality, 4), modality, legacy=legacy, order=[2, 0, 1, 3]
    )
    volume, written, (derived,) = derive(tmp_path / "series")
    image, source = pydicom.dcmread(derived), pydicom.dcmread(path)
    assert image.SOPClassUID == (LEGACY if legacy else ENHANCED)[modality] == image.file_meta.MediaStorageSOPClassUID
    assert image.NumberOfFrames == 4
    for groups, before in zip(
        image.PerFrameFunctionalGroupsSequence, source.PerFrameFunctionalGroupsSequence, strict=True
    ):
        for name in ("PlanePositionSequence", "FrameContentSequence"):
            assert groups[name] == before[name]
    for name in ("PixelMeasuresSequence", "PlaneOrientationSequence", "FrameVOILUTSequence"):
        assert image.SharedFunctionalGroupsSequence[0][name] == source.SharedFunctionalGroupsSequence[0][name]
    factors = np.array(written.unit_factors)[:, None, None]
    values = rescaled(image)[[1, 2, 0, 3]] * factors
    step = np.abs(volume.values).max() / 2**15 if modality == "PT" else 1e-6
    np.testing.assert_allclose(values, volume.values.T, atol=step)


@pytest.mark.parametrize("name", ["CT", "MR"])
def test_simpleitk_reads_the_derived_object_where_the_source_lies(tmp_path, name):
    (path,) = write_enhanced(tmp_path / "series", stored_values(name, 4), name)
    _, _, (derived,) = derive(tmp_path / "series")
    one, other = SimpleITK.ReadImage(str(path)), SimpleITK.ReadImage(str(derived))
    for geometry in ("GetSize", "GetOrigin", "GetSpacing", "GetDirection"):
        np.testing.assert_allclose(getattr(other, geometry)(), getattr(one, geometry)())
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(other), SimpleITK.GetArrayFromImage(one))


def test_it_says_what_each_frame_is_made_from(tmp_path, modality):
    (path,) = write_enhanced(tmp_path / "series", stored_values(modality), modality)
    _, _, (derived,) = derive(tmp_path / "series")
    image, source = pydicom.dcmread(derived), pydicom.dcmread(path)
    assert image.SOPInstanceUID != source.SOPInstanceUID
    assert image.SeriesInstanceUID != source.SeriesInstanceUID
    assert list(image.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    (frame_type,) = image.SharedFunctionalGroupsSequence[0][FRAME_TYPES[modality]].value
    assert frame_type.FrameType == image.ImageType
    for number, groups in enumerate(image.PerFrameFunctionalGroupsSequence, start=1):
        (step,) = groups.DerivationImageSequence
        (frame,) = step.SourceImageSequence
        assert (frame.ReferencedSOPInstanceUID, frame.ReferencedFrameNumber) == (source.SOPInstanceUID, number)
        assert step.DerivationCodeSequence[0].CodeValue == "RESTORATION"
    (study,) = image.SourceImageEvidenceSequence
    assert study.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    assert "already restored" in list_study(derived.parent).skipped[0].reason


def test_pet_has_a_slope_and_a_mapping_for_each_frame(tmp_path):
    write_enhanced(tmp_path / "series", stored_values("PT", 4), "PT")
    _, written, (derived,) = derive(tmp_path / "series")
    image = pydicom.dcmread(derived)
    slopes = set()
    for groups in image.PerFrameFunctionalGroupsSequence:
        (rescale,), (mapping,) = groups.PixelValueTransformationSequence, groups.RealWorldValueMappingSequence
        assert mapping.RealWorldValueSlope == float(rescale.RescaleSlope)
        assert mapping.RealWorldValueIntercept == float(rescale.RescaleIntercept) == 0
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "Bq/ml"
        slopes.add(mapping.RealWorldValueSlope)
    assert (written.unit, len(slopes)) == ("BQML", 4)


def test_several_files_come_back_as_as_many(tmp_path, modality):
    stored = stored_values(modality, 6)
    paths = write_enhanced(tmp_path / "series", stored, modality, n_files=3)
    _, _, derived = derive(tmp_path / "series")
    assert [path.name for path in derived] == ["IM0001.dcm", "IM0002.dcm", "IM0003.dcm"]
    images = [pydicom.dcmread(path) for path in derived]
    assert [image.NumberOfFrames for image in images] == [2, 2, 2]
    assert len({image.SeriesInstanceUID for image in images}) == 1
    assert len({image.SOPInstanceUID for image in images}) == len(paths)


def test_a_volume_of_many_comes_back_alone(tmp_path):
    stored = stored_values("MR", 6)

    def change(groups, index):
        groups.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -20.0, 30.0 + 2.5 * (index % 3)]
        groups.MREchoSequence = item(EffectiveEchoTime=20.0 + index // 3)

    write_enhanced(tmp_path / "series", stored, "MR", order=[0, 3, 1, 4, 2, 5], change_frame=change)
    uids = set()
    for number, series in enumerate(list_study(tmp_path / "series").series):
        _, _, (derived,) = derive(tmp_path / "series", series=series, uid_seed="seed")
        image = pydicom.dcmread(derived)
        np.testing.assert_array_equal(image.pixel_array, stored[3 * number : 3 * number + 3])
        echoes = {groups.MREchoSequence[0].EffectiveEchoTime for groups in image.PerFrameFunctionalGroupsSequence}
        assert echoes == {20.0 + number}
        uids |= {image.SOPInstanceUID, image.SeriesInstanceUID}
    assert len(uids) == 4


def test_padding_is_declared_anew(tmp_path):
    stored = stored_values("CT", 3)
    stored[:, :2] = 4000

    def declare(image, _):
        image.PixelPaddingValue = 4000

    write_enhanced(tmp_path / "series", stored, "CT", change=declare)
    volume, _, (derived,) = derive(tmp_path / "series")
    assert volume.padding == ((2976.0, 2976.0),)
    assert pydicom.dcmread(derived).PixelPaddingValue == 2976


def test_parts_of_a_concatenation_stand_alone(tmp_path):
    def concatenate(image, number):
        image.ConcatenationUID, image.SOPInstanceUIDOfConcatenationSource = "1.2.826.0.8", "1.2.826.0.9"
        image.InConcatenationNumber, image.ConcatenationFrameOffsetNumber = number + 1, 3 * number

    write_enhanced(tmp_path / "series", stored_values("CT", 6), "CT", n_files=2, change=concatenate)
    _, _, derived = derive(tmp_path / "series")
    for path in derived:
        image = pydicom.dcmread(path)
        assert not [element for element in image if "Concatenation" in element.keyword]


def test_another_shape_is_refused(tmp_path):
    write_enhanced(tmp_path / "series", stored_values("CT", 3), "CT")
    with pytest.raises(RefusedInputError, match="it has another size than the volume, 12 columns and 12 rows"):
        derive(tmp_path / "series", np.zeros((12, 12, 3), np.float32))


def test_a_made_up_frame_of_reference_is_never_written(tmp_path):
    def remove(image, _):
        del image.FrameOfReferenceUID

    write_enhanced(tmp_path / "series", stored_values("CT", 3), "CT", change=remove)
    for kind in ("source", "classic"):
        _, _, derived = derive(tmp_path / "series", kind=kind)
        assert all("FrameOfReferenceUID" not in pydicom.dcmread(path) for path in derived)


def place_of(header: DicomHeader) -> tuple[object, ...]:
    return header.position, header.orientation, header.spacing, header.thickness


def test_classic_slices_lie_where_the_frames_lie(tmp_path, modality):
    stored = stored_values(modality, 4)
    write_enhanced(tmp_path / "series", stored, modality, order=[2, 0, 3, 1])
    volume, written, derived = derive(tmp_path / "series", kind="classic")
    assert len(derived) == 4
    for index, path in enumerate(derived):
        image = pydicom.dcmread(path)
        assert image.SOPClassUID == CLASSIC[modality]
        assert "PerFrameFunctionalGroupsSequence" not in image
        assert image.SourceImageSequence[0].ReferencedSOPClassUID == ENHANCED[modality]
        assert image.SourceImageSequence[0].ReferencedFrameNumber == [2, 4, 1, 3][index]
        values = image.pixel_array * float(image.get("RescaleSlope", 1)) + float(image.get("RescaleIntercept", 0))
        values = values * written.unit_factors[index]
        step = np.abs(volume.values).max() / 2**15 if modality == "PT" else 1e-6
        np.testing.assert_allclose(values, volume.values[:, :, index].T, atol=step)
    source = find_series([tmp_path / "series"])
    (skipped,) = list_study(derived[0].parent).skipped
    assert skipped.n_images == 4
    found = [header for path in derived for header in find_series([path]).headers]
    assert [place_of(header) for header in found] == [place_of(header) for header in source.slices()]


def test_the_kind_is_a_setting_of_saving(tmp_path):
    write_enhanced(tmp_path / "series", stored_values("CT", 3), "CT")
    for kind, n_files in (("source", 1), ("classic", 3)):
        data = LoadScand("pred")({"pred": str(tmp_path / "series")})
        SaveRestoredd("pred", str(tmp_path / kind), dicom=kind)({**data, "modality": "CT"})
        assert len(list((tmp_path / kind / "series").glob("IM*.dcm"))) == n_files
    with pytest.raises(RefusedInputError, match="dicom is 'enhanced': pass source or classic"):
        SaveRestoredd("pred", str(tmp_path), dicom="enhanced")


@pytest.mark.parametrize("kind", ["source", "classic"])
def test_a_finer_plane_covers_the_same_field_of_view(tmp_path, kind):
    write_enhanced(tmp_path / "series", stored_values("MR", 3), "MR", order=[2, 0, 1])
    source = find_series([tmp_path / "series"]).slices()
    columns, rows = FourierGrid(10, 20), FourierGrid(12, 24)
    volume = np.ones((20, 24, 3), np.float32)
    _, _, paths = derive(tmp_path / "series", volume, kind=kind, finer=(columns, rows))
    derived = sorted((frame for path in paths for frame in read_dicom_headers(path)), key=lambda one: one.position[2])
    for frame, before in zip(derived, source, strict=True):
        assert (frame.rows, frame.columns) == (24, 20)
        assert frame.spacing == pytest.approx([side / 2 for side in before.spacing])
        shift = np.array([columns.first_centre * before.spacing[1], rows.first_centre * before.spacing[0], 0])
        np.testing.assert_allclose(frame.position, before.position + shift)


@pytest.mark.parametrize(("along", "shares"), [("ROW", (0.5, 0.75)), ("COLUMN", (0.9, 5 / 12)), ("OTHER", None)])
def test_acquired_shares_come_from_the_steps_of_encoding(tmp_path, along, shares):
    def change(groups, _):
        groups.MRFOVGeometrySequence = item(
            InPlanePhaseEncodingDirection=along,
            MRAcquisitionFrequencyEncodingSteps=9,
            MRAcquisitionPhaseEncodingStepsInPlane=5,
        )

    write_enhanced(tmp_path / "series", stored_values("MR", 3), "MR", change_frame=change)
    found = json.loads(read_series(find_series([tmp_path / "series"])).metadata[ACQUIRED_SHARES])
    assert found == (None if shares is None else pytest.approx(shares))
