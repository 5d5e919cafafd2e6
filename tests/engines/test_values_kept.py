"""What the network cannot represent comes back as it was, through NIfTI and through DICOM."""

import json

import nibabel
import numpy as np
import pydicom
import pytest
import torch

from bundle.tat.modality import INTENSITY_RANGES, Modality
from tests.configs.conftest import foreign_directory, run_config  # noqa: F401 - the fixture
from tests.dicom_sources import write_source
from tests.scans import blobs, write_nifti


class Shift(torch.nn.Module):
    """A network that moves every value by a hundredth of the range, and leaves negative ones."""

    def forward(self, slices):
        return slices - 0.01


def restore(source, folder, modality, **overrides):
    settings = {"device": "cpu", "modality": modality, "inferer#progress": False, "handlers": [], **overrides}
    run_config("inference.json", dataset_dir=str(source), output_dir=str(folder), network_def=Shift(), **settings)


def record_of(folder):
    return json.loads((folder / "restoration.json").read_text())


def expected(values, modality):
    """The output of the network, plus what the values exceed its range by."""
    bounds = INTENSITY_RANGES[modality]
    clipped = values.clip(bounds.low, bounds.high)
    output = clipped - 0.01 * bounds.width
    excess = values - clipped
    whole = output + excess
    return whole if modality is Modality.CT else whole.clip(min=0)


def with_peak(shape, low, high, peak):
    volume = blobs(shape, low, high)
    volume[4:7, 5:9, 1] = np.linspace(high, peak, 12).reshape(3, 4)
    return volume.astype(np.float32)


@pytest.mark.parametrize(
    ("modality", "volume"),
    [
        (Modality.PET, with_peak((24, 32, 3), 0, 8, 60)),
        (Modality.CT, with_peak((24, 32, 3), -900, 900, 20_000)),
        (Modality.CT, with_peak((24, 32, 3), -900, 900, -3024)),
    ],
    ids=["a bladder", "metal", "padding that nobody declared"],
)
def test_nifti_keeps_what_lies_beyond_the_range(foreign_directory, modality, volume):  # noqa: F811
    write_nifti(foreign_directory / "in.nii.gz", volume)
    restore(foreign_directory / "in.nii.gz", foreign_directory / "out", modality.value)
    result = nibabel.load(foreign_directory / "out/in/in_restored.nii.gz").get_fdata(dtype=np.float32)
    bounds = INTENSITY_RANGES[modality]
    np.testing.assert_allclose(result, expected(volume, modality), rtol=1e-5, atol=bounds.width * 1e-6)
    n_outside = int(np.count_nonzero((volume < bounds.low) | (volume > bounds.high)))
    assert n_outside >= 5
    assert record_of(foreign_directory / "out/in")["n_outside_network_range"] == n_outside


def test_ct_in_dicom_keeps_metal_and_declared_padding(foreign_directory):  # noqa: F811
    """More than half is padding, which is neither counted nor judged, and comes back to the bit."""
    stored = with_peak((24, 32, 3), 100, 1900, 21_000).round().astype(np.int16).transpose(2, 1, 0)
    stored[:, 14:] = -2000

    def change(image, index):
        image.BitsStored, image.HighBit = 16, 15
        image.add_new(0x00280120, "SS", -2000)

    write_source(foreign_directory / "in", stored, "CT", change=change)
    restore(foreign_directory / "in", foreign_directory / "out", None)
    files = sorted((foreign_directory / "out/in").glob("*.dcm"))
    images = [pydicom.dcmread(file) for file in files]
    result = np.stack([image.pixel_array for image in images]) * 1.0
    padding = stored == -2000
    assert padding.mean() > 0.5
    assert set(result[padding]) == {-3024.0}
    assert {image.PixelPaddingValue for image in images} == {-3024}
    np.testing.assert_allclose(result[~padding], expected(stored[~padding] - 1024.0, Modality.CT), atol=0.51)
    n_metal = int(np.count_nonzero(stored - 1024.0 > 3072))
    assert (record_of(foreign_directory / "out/in")["n_outside_network_range"], n_metal > 0) == (n_metal, True)


def test_pet_in_dicom_keeps_a_hot_bladder_and_a_nifti_beside_it_its_unit(foreign_directory):  # noqa: F811
    """The NIfTI is in Bq/ml as the series is, and the record says so."""
    suv = with_peak((24, 32, 3), 0, 8, 60).transpose(2, 1, 0)
    # What write_source injects, an hour before: 200 MBq for 75 kg.
    to_suv = 75_000 / (2e8 * 2 ** (-3600 / 6586.2))
    slopes = np.array([0.5, 0.75, 1.0])[:, None, None] * 8  # of each slice
    stored = np.round(suv / to_suv / slopes).astype(np.int16)

    def change(image, index):
        image.RescaleSlope = float(slopes[index, 0, 0])

    write_source(foreign_directory / "in", stored, "PT", change=change)
    restore(foreign_directory / "in", foreign_directory / "out", None, nifti=True)
    folder = foreign_directory / "out/in"
    images = [pydicom.dcmread(file) for file in sorted(folder.glob("*.dcm"))]
    activity = np.stack([image.pixel_array * float(image.RescaleSlope) for image in images])
    steps = np.array([float(image.RescaleSlope) for image in images])[:, None, None]
    wanted = expected(stored * slopes * to_suv, Modality.PET) / to_suv
    error = np.abs(activity - wanted) - 0.5 * steps
    assert error.max() < 1e-6 * wanted.max()
    assert activity.sum() == pytest.approx(wanted.sum(), rel=1e-3)

    nifti = nibabel.load(folder / "in_restored.nii.gz").get_fdata().transpose(2, 1, 0)
    assert np.all(np.abs(nifti - wanted) <= 1e-4 * wanted.max())
    assert record_of(folder)["unit"] == "BQML"
