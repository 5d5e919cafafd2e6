"""Padding that a header declares: read in physical units, and declared anew where the stored values changed."""

import numpy as np
import pydicom
import pytest

from bundle.tat.dicom.derivation import Derivation
from bundle.tat.dicom.padding import stored_padding
from bundle.tat.dicom.pixels import padding_range, physical_pixels
from bundle.tat.dicom.reader import read_series
from bundle.tat.dicom.study import find_series
from bundle.tat.dicom.writer import write_series
from tests.dicom_sources import stored_values, write_source


def declare(value, limit=None, kind="US"):
    def change(image, index):
        image.add_new(0x00280120, kind, value)
        if limit is not None:
            image.add_new(0x00280121, kind, limit)

    return change


def padded_source(folder, modality, change):
    stored = stored_values(modality)
    stored[:, 0] = 0
    return stored, write_source(folder, stored, modality, change=change)


@pytest.mark.parametrize(
    ("is_signed", "declared", "meant"),
    [(0, (63536, None), (63536, 63536)), (1, (63536, None), (-2000, -2000)), (1, (-1, -9), (-9, -1))],
    ids=["unsigned", "signed, written as unsigned", "a range, from above"],
)
def test_a_padding_value_is_one_of_the_pixels(is_signed, declared, meant):
    image = pydicom.Dataset()
    image.BitsAllocated, image.PixelRepresentation = 16, is_signed
    declare(declared[0], declared[1], "SS" if declared[0] < 0 else "US")(image, 0)
    assert stored_padding(image) == meant


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_value_declares_none(value):
    image = pydicom.Dataset()
    assert stored_padding(image) is None
    image.PixelPaddingValue = value
    assert stored_padding(image) is None


@pytest.mark.parametrize(("modality", "physical"), [("CT", (-1024.0, -1019.0)), ("MR", (0.0, 5.0))])
def test_padding_is_read_and_written_in_the_scale_of_the_pixels(tmp_path, modality, physical):
    _, files = padded_source(tmp_path / "source", modality, declare(0, 5))
    read = read_series(find_series(files))
    assert read.padding == (physical,)

    (tmp_path / "out").mkdir()
    write_series(read.values, read.sources, tmp_path / "out", provenance=Derivation(None, "0.1.0", "a test"))
    for file in sorted((tmp_path / "out").iterdir()):
        derived = pydicom.dcmread(file)
        assert padding_range(derived) == physical
        np.testing.assert_array_equal(physical_pixels(derived, file)[0], physical[0])


def test_slices_with_slopes_of_their_own_share_a_padding_of_zero(tmp_path):
    _, files = padded_source(tmp_path / "source", "PT", declare(0, kind="SS"))
    read = read_series(find_series(files))
    assert read.padding == ((0.0, 0.0),)
