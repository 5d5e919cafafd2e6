"""Whether two files hold the same image."""

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from bundle.tat.dicom.same_image import is_same_image
from bundle.tat.refusal import RefusedInputError
from tests.dicom_sources import PATIENT_NAME, compress_rle, save, stored_values, write_source
from tests.enhanced_sources import write_enhanced

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless)


def written(folder: Path, syntax: str, change=None) -> Path:
    """One CT image; the same one whenever nothing changes it."""
    stored = stored_values("CT", 1)
    compressed = syntax == RLELossless
    (path,) = write_source(folder, stored, "CT", change=change, **({} if compressed else {"syntax": syntax}))
    if compressed:
        image = pydicom.dcmread(path)
        compress_rle(image)
        save(image, path, RLELossless)
    return path


def reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPInstanceUID, item.PurposeOfReferenceCodeSequence = uid, [Dataset()]
    return item


def with_private_and_sequences(image: Dataset, _: int) -> None:
    image.private_block(0x0009, "MAKER", create=True).add_new(1, "US", 7)
    image.SmallestImagePixelValue = 3  # its kind depends on Pixel Representation
    image.ReferencedImageSequence = [reference("1.2.3"), Dataset()]
    image.KVP = "120.0"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_image_is_the_same_in_another_encoding(tmp_path, syntax):
    first, second = (
        written(tmp_path / name, one, with_private_and_sequences)
        for name, one in (("a", "1.2.840.10008.1.2.1"), ("b", syntax))
    )
    assert first.read_bytes() != second.read_bytes()
    assert is_same_image(first, second)
    assert is_same_image(second, first)


def set_pixel(image: Dataset) -> None:
    image.PixelData = image.PixelData[:-2] + b"\1\1"


@pytest.mark.parametrize(
    "change",
    [
        set_pixel,
        lambda image: setattr(image, "PatientName", "Other^Name"),
        lambda image: setattr(image, "RescaleIntercept", "-1000"),
        lambda image: setattr(image.ReferencedImageSequence[0], "ReferencedSOPInstanceUID", "1.2.4"),
        lambda image: image.ReferencedImageSequence.pop(),
        lambda image: delattr(image, "PatientID"),
        lambda image: setattr(image, "InstitutionName", "Elsewhere"),
    ],
)
def test_an_image_of_which_anything_differs_is_another(tmp_path, change):
    def make_and_change(image: Dataset, index: int) -> None:
        with_private_and_sequences(image, index)
        change(image)

    first = written(tmp_path / "a", "1.2.840.10008.1.2.1", with_private_and_sequences)
    assert not is_same_image(first, written(tmp_path / "b", ImplicitVRLittleEndian, make_and_change))


def test_bytes_in_another_order_are_another_value(tmp_path):
    def set_number(number: int):
        return lambda image, _: setattr(image, "SmallestImagePixelValue", number)

    first = written(tmp_path / "a", "1.2.840.10008.1.2.1", set_number(0x0100))
    assert not is_same_image(first, written(tmp_path / "b", ExplicitVRBigEndian, set_number(0x0001)))
    assert is_same_image(first, written(tmp_path / "c", ExplicitVRBigEndian, set_number(0x0100)))


def test_private_elements_are_not_compared(tmp_path):
    first = written(tmp_path / "a", "1.2.840.10008.1.2.1")
    assert is_same_image(first, written(tmp_path / "b", ImplicitVRLittleEndian, with_private_only))


def test_what_a_compressor_says_of_itself_is_not_compared(tmp_path):
    first = written(tmp_path / "a", "1.2.840.10008.1.2.1")
    assert is_same_image(first, written(tmp_path / "b", RLELossless, say_lossless))


def say_lossless(image: Dataset, _: int) -> None:
    image.DerivationDescription = "Lossless compression"


def with_private_only(image: Dataset, _: int) -> None:
    image.private_block(0x0009, "MAKER", create=True).add_new(1, "US", 7)


@pytest.mark.parametrize("frame", [0, 2])
def test_all_frames_of_an_enhanced_object_count(tmp_path, frame):
    stored = stored_values("MR", 3)
    other = stored.copy()
    other[frame, 0, 0] ^= 1
    paths = [
        write_enhanced(tmp_path / name, pixels, "MR", syntax=syntax)[0]
        for name, pixels, syntax in (
            ("a", stored, "1.2.840.10008.1.2.1"),
            ("b", stored, ImplicitVRLittleEndian),
            ("c", other, ImplicitVRLittleEndian),
        )
    ]
    assert is_same_image(paths[0], paths[1])
    assert not is_same_image(paths[0], paths[2])


def test_what_cannot_be_decoded_is_refused(tmp_path):
    first, second = (written(tmp_path / name, "1.2.840.10008.1.2.1") for name in ("a", "b"))
    image = pydicom.dcmread(second)
    image.PixelData = image.PixelData[:-20]
    save(image, second)
    with pytest.raises(RefusedInputError, match="cannot be decoded") as refused:
        is_same_image(first, second)
    assert PATIENT_NAME not in str(refused.value)


def test_an_image_that_claims_too_many_pixels_is_not_decoded(tmp_path):
    def claim(image: Dataset, _: int) -> None:
        image.Rows = image.Columns = 60_000

    first, second = (written(tmp_path / name, "1.2.840.10008.1.2.1", claim) for name in ("a", "b"))
    with pytest.raises(RefusedInputError, match="claims 60000 x 60000 pixels"):
        is_same_image(first, second)
