import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.uid import JPEGLosslessSV1

from bundle.tat.dicom.open import read_image
from bundle.tat.dicom.pixels import physical_pixels, stored_pixels
from bundle.tat.refusal import RefusedInputError
from tests.scans import blobs, edit_dicom, write_dicom_series

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
HIGH_THROUGHPUT_JPEG_2000 = "1.2.840.10008.1.2.4.201"


def stored(path):
    return stored_pixels(read_image(path), path)


@pytest.fixture
def path(tmp_path):
    return write_dicom_series(tmp_path, blobs((1, 6, 7), -500, 500).astype(np.int16))[0]


@pytest.fixture(params=["any decoder", "GDCM alone"])
def decoders(request, monkeypatch):
    if request.param == "GDCM alone":

        def missing(image):
            raise RuntimeError("no decoder")

        monkeypatch.setattr(pydicom.Dataset, "pixel_array", property(missing))


@pytest.mark.parametrize("name", ["RLE", "bigendian", "expb", "implicit", "padded", "jp2klossless", "jpeg_ls_lossless"])
def test_every_transfer_syntax_holds_the_same_pixels(name):
    expected = pydicom.dcmread(PYDICOM_FILES / "MR_small.dcm").pixel_array
    np.testing.assert_array_equal(stored(PYDICOM_FILES / f"MR_small_{name}.dcm"), expected)


def test_pixels_that_end_early_are_refused_by_their_file(path):
    """An error that is raised from itself would be looked through for its causes for ever."""
    edit_dicom(path, PixelData=pydicom.dcmread(path).PixelData[:-8])
    with pytest.raises(RefusedInputError, match="cannot be decoded") as caught:
        physical_pixels(read_image(path), path)
    assert str(caught.value).count(str(path)) == 1
    assert caught.value.__cause__ is not caught.value


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_simpleitks_lossless_compression_is_read(tmp_path, compressor):
    pixels = blobs((1, 33, 21), -2000, 3000).astype(np.int16)
    writer = SimpleITK.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.SetFileName(str(tmp_path / "x.dcm"))
    writer.Execute(SimpleITK.GetImageFromArray(pixels))
    np.testing.assert_array_equal(stored(tmp_path / "x.dcm"), pixels[0])


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("name", ["J2K_pixelrep_mismatch.dcm", "693_J2KI.dcm", "JPGExtended.dcm", "JPEG2000.dcm"])
def test_simpleitk_reads_the_same_from_compressed_files(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = read_image(PYDICOM_FILES / name)
        expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(PYDICOM_FILES / name)))[0]
        np.testing.assert_array_equal(physical_pixels(image, PYDICOM_FILES / name), expected)


def test_a_decoder_that_is_missing_is_named_with_its_package(path):
    image = read_image(path)
    image.file_meta.TransferSyntaxUID = HIGH_THROUGHPUT_JPEG_2000
    with pytest.raises(
        ValueError, match=r"no decoder of .* is installed; get one with pip install pylibjpeg"
    ) as refusal:
        stored_pixels(image, path)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, pydicom.uid.JPEG2000Lossless])
def test_damaged_compressed_pixels_are_refused(tmp_path, path, syntax):
    image = read_image(path)
    image.file_meta.TransferSyntaxUID = syntax
    image.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8 no picture \xff\xd9"])
    with pytest.raises(ValueError, match=r"0003\.dcm \(JPEG .*\) are damaged: no decoder reads them"):
        stored_pixels(image, path)


def test_truncated_pixels_are_refused_by_name():
    with pytest.raises(ValueError, match=r"MR_truncated\.dcm cannot be decoded: .*8130"):
        stored(PYDICOM_FILES / "MR_truncated.dcm")


def test_bits_above_the_stored_ones_are_no_pixels(path):
    """Old files keep overlays there."""
    expected = stored(path)
    bits = (expected.astype(np.uint16) & 0x0FFF) | 0x3000
    edit_dicom(path, BitsStored=12, HighBit=11, PixelData=bits.astype("<u2").tobytes())
    np.testing.assert_array_equal(stored(path), expected)


@pytest.mark.parametrize(("slope", "intercept"), [(2.5, -1000.0), (None, None), ("", "")])
def test_rescale_is_applied_where_there_is_one(path, slope, intercept):
    edit_dicom(path, RescaleSlope=slope, RescaleIntercept=intercept)
    expected = stored(path).astype(np.float32) * (slope or 1) + (intercept or 0)
    np.testing.assert_array_equal(physical_pixels(read_image(path), path), expected)


def test_unsigned_pixels_stay_positive(path):
    edit_dicom(path, PixelRepresentation=0, PixelData=np.full((6, 7), 65000, dtype="<u2").tobytes())
    np.testing.assert_array_equal(physical_pixels(read_image(path), path), np.full((6, 7), 65000, dtype=np.float32))


def test_pixels_of_another_shape_are_refused(path):
    image = read_image(path)
    image.NumberOfFrames = 2
    image.PixelData = image.PixelData * 2
    with pytest.raises(ValueError, match=r"they are \(2, 6, 7\) instead of 6 x 7"):
        stored_pixels(image, path)
