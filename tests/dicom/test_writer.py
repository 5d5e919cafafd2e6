import logging
import tracemalloc
from datetime import timedelta, timezone
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from bundle.tat.dicom.derivation import Derivation
from bundle.tat.dicom.own_series import MODEL_NAME, SERIES_SUFFIX
from bundle.tat.dicom.suv.factor import suv_factor
from bundle.tat.dicom.uids import new_uid
from bundle.tat.dicom.writer import read_sources, write_series
from tests.dicom_sources import PATIENT_NAME, elements, stored_values, write_source

PROVENANCE = Derivation("ab" * 32, "0.1.0", "CT restored by a neural network")
# What every derived image has anew.
NEW = {
    "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "ImageType",
    "InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime",
    "SourceImageSequence", "DerivationDescription", "DerivationCodeSequence", "ContributingEquipmentSequence",
    "PixelData",
}  # fmt: skip
NEW_PIXELS = {
    "CT": {"BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"},
    "MR": {"BitsStored", "HighBit"},
    "PT": {"RescaleSlope", "RescaleIntercept"},
}


def physical(paths: list[Path]) -> np.ndarray:
    """Values (columns, rows, slices) in HU, SUV or MR units, read with nothing but pydicom."""
    slices = []
    for path in paths:
        image = pydicom.dcmread(path)
        values = image.pixel_array.astype(float) * image.get("RescaleSlope", 1) + image.get("RescaleIntercept", 0)
        slices.append(values.T * (suv_factor(image) if image.Modality == "PT" else 1))
    return np.stack(slices, axis=-1).astype(np.float32)


def derive(sources: list[Path], volume: np.ndarray | None = None, **options) -> list[Path]:
    """Write the derived series beside its source; without a volume, its own."""
    folder = sources[0].parent.with_name("derived")
    folder.mkdir(exist_ok=True)
    options.setdefault("provenance", PROVENANCE)
    write_series(physical(sources) if volume is None else volume, read_sources(sources), folder, **options)
    return sorted(folder.iterdir())


def derive_one(folder: Path, modality: str, change=None, **options) -> pydicom.Dataset:
    """The first image of a derived series whose source was changed."""
    sources = write_source(folder / "source", stored_values(modality), modality, change=change)
    return pydicom.dcmread(derive(sources, **options)[0])


def as_written(image: pydicom.Dataset) -> dict[str, str]:
    """Elements by keyword, in a form that can be compared."""
    return {element.keyword or str(element.tag): str(element.value) for element in image}


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_all_but_the_derivation_is_kept(tmp_path, modality):
    sources = write_source(tmp_path / "source", stored_values(modality), modality)
    derived = derive(sources)
    assert [path.name for path in derived] == ["IM0001.dcm", "IM0002.dcm", "IM0003.dcm"]
    for source_path, path in zip(sources, derived, strict=True):
        image = pydicom.dcmread(path)
        before, after = as_written(pydicom.dcmread(source_path)), as_written(image)
        assert before.keys() - after.keys() == {"InstanceCreatorUID"}
        changed = {name for name in after if after[name] != before.get(name)} | {"PixelData"}
        assert NEW <= changed <= NEW | NEW_PIXELS[modality]
        assert image.PatientName == PATIENT_NAME
        assert image.SourceImageSequence[0].ReferencedSOPInstanceUID == before["SOPInstanceUID"]


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_identity(tmp_path, modality):
    sources = write_source(tmp_path / "source", stored_values(modality), modality)
    derived = derive(sources)
    for path in derived:
        image = pydicom.dcmread(path)
        assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
        assert image.file_meta.MediaStorageSOPClassUID == image.SOPClassUID
        assert image.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert image.SOPInstanceUID.startswith("2.25.")
        assert image.SOPInstanceUID.is_valid
    assert len(set(elements(derived, "SOPInstanceUID"))) == 3
    assert len(set(elements(derived, "SeriesInstanceUID"))) == 1
    assert not set(elements(derived, "SeriesInstanceUID")) & set(elements(sources, "SeriesInstanceUID"))
    assert set(elements(derived, "SeriesNumber")) == {1005}


def test_provenance(tmp_path):
    image = derive_one(tmp_path, "CT")
    assert image.SeriesDescription == f"Schädel 2.5 mm {SERIES_SUFFIX}"
    assert image.DerivationDescription == PROVENANCE.description
    (code,) = image.DerivationCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("RESTORATION", "99TAT")
    (equipment,) = image.ContributingEquipmentSequence
    assert (equipment.ManufacturerModelName, equipment.SoftwareVersions) == (MODEL_NAME, "0.1.0")
    assert "ab" * 32 in equipment.ContributionDescription
    (source,) = image.SourceImageSequence
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


@pytest.fixture(scope="module")
def two_slices(tmp_path_factory) -> dict[str, list[Path]]:
    """Sources of volumes of (5, 4, 2), by modality or by the units of PET."""
    kinds = {"CT": "CT", "MR": "MR", "BQML": "PT", "GML": "PT"}
    folder = tmp_path_factory.mktemp("two_slices")
    stored = {modality: stored_values(modality, 2, rows=4, columns=5) for modality in kinds.values()}
    return {
        kind: write_source(folder / kind / "source", stored[modality], modality, units=kind)
        for kind, modality in kinds.items()
    }


@settings(max_examples=20)  # files are written for each
@given(values=arrays(np.float32, (5, 4, 2), elements=st.floats(-32768, 32767, width=32)))
def test_ct_stores_rounded_hounsfield_units(two_slices, values):
    sources = two_slices["CT"]
    np.testing.assert_array_equal(physical(derive(sources, values)), np.round(values))


@pytest.mark.parametrize("units", ["BQML", "GML"])
@settings(max_examples=20)  # files are written for each
@given(values=arrays(np.float32, (5, 4, 2), elements=st.floats(-1, 20, width=32)))
def test_pet_is_right_to_a_part_of_its_slice_maximum(two_slices, values, units):
    derived = derive(two_slices[units], values)
    highest = np.abs(values).max(axis=(0, 1))
    assert np.all(np.abs(physical(derived) - values) <= highest / 32767)
    assert set(elements(derived, "Units")) == {units}
    assert set(elements(derived, "RescaleIntercept")) == {0}
    assert all(elements(derived, "RescaleSlope"))


@settings(max_examples=20)  # files are written for each
@given(values=arrays(np.float32, (5, 4, 2), elements=st.floats(0, 65535, width=32)))
def test_mr_stores_rounded_values(two_slices, values):
    derived = derive(two_slices["MR"], values)
    np.testing.assert_array_equal(physical(derived), np.round(values))
    assert elements(derived, "RescaleSlope") == [None, None]


def test_mr_keeps_its_own_rescale(tmp_path):
    def rescale(image: Dataset, index: int) -> None:
        image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 0.25 * (index + 1), -3, "US"

    sources = write_source(tmp_path / "source", stored_values("MR"), "MR", change=rescale)
    values = physical(sources)
    derived = derive(sources, values)
    assert elements(derived, "RescaleSlope") == [0.25, 0.5, 0.75]
    np.testing.assert_array_equal(physical(derived), values)


def test_a_pet_image_of_zeros_has_a_slope(tmp_path):
    image = derive_one(tmp_path, "PT", volume=np.zeros((10, 12, 3), np.float32))
    assert image.RescaleSlope != 0
    assert not image.pixel_array.any()


@pytest.mark.parametrize(("modality", "low", "high"), [("CT", -32768, 32767), ("MR", 0, 65535)])
def test_what_cannot_be_stored_is_clipped_and_counted(tmp_path, caplog, modality, low, high):
    sources = write_source(tmp_path / "source", stored_values(modality, 1), modality)
    volume = np.zeros((10, 12, 1), np.float32)
    volume[0, 0], volume[1, 1], volume[2, 2] = low - 9, high + 9, high
    (tmp_path / "derived").mkdir()
    with caplog.at_level(logging.WARNING):
        written = write_series(volume, read_sources(sources), tmp_path / "derived", provenance=PROVENANCE)
    assert written.n_clipped == 2
    assert "2 of 120 values were clipped" in caplog.text
    stored = physical([tmp_path / "derived" / "IM0001.dcm"])
    assert (stored.min(), stored.max()) == (low, high)


@pytest.mark.parametrize(
    ("modality", "source", "derived"),
    [
        ("CT", ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SEQ"], ["DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 SEQ"]),
        ("CT", ["ORIGINAL", "PRIMARY"], ["DERIVED", "SECONDARY", "AXIAL"]),
        ("MR", None, ["DERIVED", "SECONDARY", "OTHER"]),
        ("MR", "ORIGINAL", ["DERIVED", "SECONDARY", "OTHER"]),
        ("PT", ["ORIGINAL", "PRIMARY"], ["DERIVED", "PRIMARY"]),
        ("PT", ["DERIVED", "SECONDARY", "REFORMATTED"], ["DERIVED", "PRIMARY", "REFORMATTED"]),
    ],
)
def test_image_type(tmp_path, modality, source, derived):
    def change(image: Dataset, index: int) -> None:
        image.ImageType = source

    assert list(derive_one(tmp_path, modality, change).ImageType) == derived


@pytest.mark.parametrize(
    ("source", "derived"),
    [
        ("", SERIES_SUFFIX),
        (None, SERIES_SUFFIX),
        (["left", "right"], f"left right {SERIES_SUFFIX}"),
        ("x" * 64, f"{'x' * 48} {SERIES_SUFFIX}"),
    ],
)
def test_the_suffix_of_the_description_is_whole(tmp_path, source, derived):
    def change(image: Dataset, index: int) -> None:
        image.SeriesDescription = source

    description = derive_one(tmp_path, "CT", change).SeriesDescription
    assert description == derived
    assert len(description) <= 64


def test_series_number_of_a_source_without(tmp_path):
    def change(image: Dataset, index: int) -> None:
        del image.SeriesNumber

    assert derive_one(tmp_path, "CT", change).SeriesNumber == 1000


def test_a_second_derivation_keeps_the_first(tmp_path):
    def change(image: Dataset, index: int) -> None:
        code, equipment = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "113085", "DCM", "Spatial resampling"
        equipment.Manufacturer = "Acme"
        image.DerivationDescription = "resampled " * 100
        image.DerivationCodeSequence, image.ContributingEquipmentSequence = Sequence([code]), Sequence([equipment])

    image = derive_one(tmp_path, "CT", change)
    assert [code.CodeValue for code in image.DerivationCodeSequence] == ["113085", "RESTORATION"]
    assert [item.get("ManufacturerModelName") for item in image.ContributingEquipmentSequence] == [None, MODEL_NAME]
    assert image.DerivationDescription.startswith("resampled resampled")
    assert image.DerivationDescription.endswith(f"; {PROVENANCE.description}")
    assert len(image.DerivationDescription) <= 1024


def test_nothing_of_the_old_pixels_is_taken_over(tmp_path):
    def change(image: Dataset, index: int) -> None:
        item = Dataset()
        item.add_new(0x00091010, "LO", "private in an item")
        item.add_new(0xFFFAFFFA, "SQ", Sequence([Dataset()]))
        image.ReferencedImageSequence = image.RealWorldValueMappingSequence = Sequence([item])
        image.SmallestImagePixelValue, image.LargestImagePixelValue = 0, 9
        image.IconImageSequence = image.DigitalSignaturesSequence = Sequence([Dataset()])
        image.add_new(0x60000010, "US", 12)
        image.add_new(0x60003000, "OW", b"\0\0")
        image.add_new(0x00290010, "LO", "ACME")
        image.add_new(0x00291001, "LO", "private")
        image.add_new(0xFFFCFFFC, "OB", b"\0\0")

    image = derive_one(tmp_path, "CT", change)
    assert not [element for element in image.iterall() if element.tag.is_private]
    assert {f"{tag.group:04x}" for tag in image.keys()} <= {"0008", "0010", "0012", "0018", "0020", "0028", "7fe0"}  # noqa: SIM118
    dropped = "Smallest Largest Icon Signature RealWorld"
    assert not [name for name in as_written(image) if any(word in name for word in dropped.split())]
    assert len(image.ReferencedImageSequence[0]) == 0


def test_private_elements_that_scale_pet_are_kept(tmp_path):
    def change(image: Dataset, index: int) -> None:
        image.Units = "CNTS"
        block = image.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0.125")
        block.add_new(0x01, "LO", "something else")

    sources = write_source(tmp_path / "source", stored_values("PT"), "PT", change=change)
    values = physical(sources)
    derived = derive(sources, values)
    np.testing.assert_allclose(physical(derived), values, atol=values.max() / 32767)
    assert set(elements(derived, "Units")) == {"CNTS"}
    image = pydicom.dcmread(derived[0])
    assert (0x7053, 0x1001) not in image


def test_one_of_the_two_patient_positions(tmp_path):
    def change(image: Dataset, index: int) -> None:
        image.PatientPosition = "HFS"

    assert "PatientPosition" not in derive_one(tmp_path / "pet", "PT", change)
    assert derive_one(tmp_path / "ct", "CT", change).PatientPosition == "HFS"


def test_times_are_in_the_zone_of_the_image(tmp_path):
    def change(image: Dataset, index: int) -> None:
        image.TimezoneOffsetFromUTC = "+0930"

    image = derive_one(tmp_path, "PT", change)
    made = pydicom.valuerep.DT(image.ContributingEquipmentSequence[0].ContributionDateTime)
    here = made.astimezone(timezone(timedelta(hours=9.5)))
    assert image.ContentDate == image.InstanceCreationDate == here.strftime("%Y%m%d")
    assert image.ContentTime == image.InstanceCreationTime == here.strftime("%H%M%S.%f")
    assert (image.SeriesDate, image.SeriesTime, image.AcquisitionTime) == ("20200304", "110000", "110000")


@pytest.mark.parametrize(
    ("syntax", "said", "expected"),
    [
        ("1.2.840.10008.1.2.4.50", "00", ("01", 20, "ISO_10918_1")),
        ("1.2.840.10008.1.2.4.81", None, ("01", 20, "ISO_14495_1")),
        ("1.2.840.10008.1.2.4.91", None, ("01", 20, "ISO_15444_1")),
        ("1.2.840.10008.1.2.4.91", "00", ("00", None, None)),
        ("1.2.840.10008.1.2.4.90", "00", ("00", None, None)),
        ("1.2.840.10008.1.2.4.90", "01", ("01", 7, "ISO_10918_1")),
    ],
)
def test_once_lossy_always_lossy(tmp_path, syntax, said, expected):
    """The pixels of the source are not decoded, so they may be anything."""

    def change(image: Dataset, index: int) -> None:
        image.LossyImageCompression = said
        if said == "01":
            image.LossyImageCompressionRatio, image.LossyImageCompressionMethod = 7, "ISO_10918_1"
        image.PixelData = encapsulate([b"\xff\xd8" + bytes(98)], has_bot=False)
        image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True

    stored = np.zeros((1, 40, 29), np.uint16)  # 2320 bytes, compressed to 100 in an item of 8 and a table of 8
    sources = write_source(tmp_path / "source", stored, "CT", syntax=syntax, change=change)
    image = pydicom.dcmread(derive(sources, np.zeros((29, 40, 1), np.float32))[0])
    ratio = image.get("LossyImageCompressionRatio")
    assert (image.LossyImageCompression, ratio and round(ratio), image.get("LossyImageCompressionMethod")) == expected


@pytest.mark.parametrize("modality", ["CT", "PT"])
@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_the_encoding_of_the_source_does_not_matter(tmp_path, modality, syntax):
    def change(image: Dataset, index: int) -> None:
        image.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        image.PatientName = "Yamada^Tarou=山田^太郎"
        image.SeriesDescription = "頭部"

    stored = stored_values(modality)
    plain = write_source(tmp_path / "plain" / "source", stored, modality, change=change)
    volume = physical(plain)
    other = write_source(tmp_path / "other" / "source", stored, modality, syntax=syntax, change=change)
    options = {"volume": volume, "uid_seed": "a"}
    for one, two in zip(derive(plain, **options), derive(other, **options), strict=True):
        expected, found = as_written(pydicom.dcmread(one)), as_written(pydicom.dcmread(two))
        # Each was made at its own time.
        times = {name for name in NEW if name.endswith(("Date", "Time"))} | {"ContributingEquipmentSequence"}
        assert {name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)} <= times
        assert found["PatientName"] == "Yamada^Tarou=山田^太郎"
        assert found["SeriesDescription"] == f"頭部 {SERIES_SUFFIX}"


def test_group_lengths_are_left_out(tmp_path):
    def change(image: Dataset, index: int) -> None:
        image.add_new(0x00080000, "UL", 4)

    sources = write_source(tmp_path / "source", stored_values("MR"), "MR", change=change)
    assert (0x0008, 0x0000) not in pydicom.dcmread(derive(sources)[0])


def test_uids_come_from_the_seed_the_source_and_what_made_it(tmp_path):
    sources = write_source(tmp_path / "source", stored_values("CT"), "CT")
    other_weights = Derivation("cd" * 32, PROVENANCE.version, PROVENANCE.description)

    def uids(**options) -> list[object]:
        paths = derive(sources, **options)
        return elements(paths, "SOPInstanceUID") + elements(paths, "SeriesInstanceUID")

    first = uids(uid_seed="a")
    assert uids(uid_seed="a") == first
    text = f"a Provenance(weights_sha256='{'ab' * 32}', version='0.1.0', description='CT restored by a neural network')"
    assert first[0] == new_uid(text, "instance", str(elements(sources, "SOPInstanceUID")[0]))
    for options in ({"uid_seed": "b"}, {"uid_seed": None}, {"uid_seed": "a", "provenance": other_weights}):
        assert not set(uids(**options)) & set(first)


def without_uid(image: Dataset, index: int) -> None:
    """Written with a UID that ``forget_uids`` takes out again, of the data set and of the file."""
    image.SOPInstanceUID = f"1.2.3.{index}"


def one_uid(image: Dataset, index: int) -> None:
    image.SOPInstanceUID = "1.2.3"


def forget_uids(paths: list[Path]) -> None:
    for path in paths:
        image = pydicom.dcmread(path)
        del image.SOPInstanceUID, image.file_meta.MediaStorageSOPInstanceUID
        image.save_as(path)


@pytest.mark.parametrize("change", [one_uid, without_uid])
def test_images_without_uids_of_their_own_get_derived_ones(tmp_path, change):
    sources = write_source(tmp_path / "source", stored_values("MR"), "MR", change=change)
    if change is without_uid:
        forget_uids(sources)
    derived = derive(sources)
    assert len(set(elements(derived, "SOPInstanceUID"))) == 3
    # A reference to a UID that names all three, or none, would lead nowhere.
    assert elements(derived, "SourceImageSequence") == [None] * 3


def test_a_seed_makes_other_uids_of_other_pixels_without_uids(tmp_path):
    uids = []
    for name, added in (("a", 0), ("b", 0), ("c", 1)):
        values = stored_values("MR") + np.uint16(added)
        sources = write_source(tmp_path / name / "source", values, "MR", change=one_uid)
        uids.append(elements(derive(sources, uid_seed="seed"), "SOPInstanceUID"))
    assert uids[0] == uids[1]
    assert not set(uids[0]) & set(uids[2])


def test_uids_of_the_file_serve_where_those_of_the_data_set_are_empty(tmp_path):
    sources = write_source(tmp_path / "source", stored_values("CT"), "CT")
    before = elements(sources, "SOPInstanceUID")
    for path in sources:
        image = pydicom.dcmread(path)
        del image.SOPInstanceUID, image.SOPClassUID
        image.save_as(path)
    derived = [pydicom.dcmread(path) for path in derive(sources)]
    assert [image.SourceImageSequence[0].ReferencedSOPInstanceUID for image in derived] == before
    assert {str(image.SOPClassUID) for image in derived} == {"1.2.840.10008.5.1.4.1.1.2"}


def test_a_series_has_one_study_and_one_frame_of_reference(tmp_path):
    def change(image: Dataset, index: int) -> None:
        image.StudyInstanceUID, image.FrameOfReferenceUID = f"1.5.{index}", f"1.6.{index}"

    derived = derive(write_source(tmp_path / "source", stored_values("CT"), "CT", change=change))
    assert elements(derived, "StudyInstanceUID") == ["1.5.0"] * 3
    assert elements(derived, "FrameOfReferenceUID") == ["1.6.0"] * 3


def test_a_source_of_another_size_is_refused(tmp_path):
    sources = write_source(tmp_path / "source", stored_values("MR"), "MR")
    with pytest.raises(ValueError, match=r"100\.dcm: it has another size than the volume, 12 columns and 10 rows"):
        derive(sources, np.zeros((12, 10, 3), np.float32))


def test_a_damaged_header_is_refused_without_its_values(tmp_path):
    def change(image: Dataset, index: int) -> None:
        image.RescaleSlope = "12345678"

    sources = write_source(tmp_path / "source", stored_values("MR"), "MR", change=change)
    volume = physical(sources)
    sources[0].write_bytes(sources[0].read_bytes().replace(b"12345678", b"Smith-Jo"))
    with pytest.raises(ValueError, match=r"100\.dcm cannot be read as DICOM, it is damaged \(ValueError\)") as refusal:
        derive(sources, volume)
    assert "Smith" not in str(refusal.value)


def test_a_source_that_is_gone_is_named(tmp_path):
    sources = write_source(tmp_path / "source", stored_values("CT"), "CT")
    volume = physical(sources)
    sources[1].unlink()
    with pytest.raises(ValueError, match=r"099\.dcm cannot be read: No such file"):
        derive(sources, volume)


def test_a_volume_of_another_number_of_slices_is_refused(tmp_path):
    sources = write_source(tmp_path / "source", stored_values("CT"), "CT")
    with pytest.raises(ValueError, match=r"shape \(10, 12, 2\) cannot be written over 3 source slices"):
        derive(sources, np.zeros((10, 12, 2), np.float32))


def test_no_second_volume_is_held(tmp_path):
    sources = write_source(tmp_path / "source", stored_values("CT", 24, 256, 256), "CT")
    volume = physical(sources)
    derive(sources[:1], volume[:, :, :1])  # loads what is loaded once
    tracemalloc.start()
    derive(sources, volume)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < volume.nbytes
