"""MRI on a finer grid, as it is written: NIfTI with both forms, and a derived DICOM series."""

import json

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
import torch

from bundle.tat.kspace.fourier_grid import FourierGrid
from tests.configs.conftest import foreign_directory, run_config  # noqa: F401 - the fixture
from tests.dicom_sources import write_source
from tests.helper import outer_corners
from tests.scans import blobs, oblique_affine


def upsample(source, folder, upsampling, *, network=None, **overrides):
    settings = {"device": "cpu", "inferer#progress": False, "handlers": [], "any_resolution": True, **overrides}
    paths = {"dataset_dir": str(source), "output_dir": str(folder)}
    run_config(
        "inference.json", network_def=network or torch.nn.Identity(), mri_upsample=upsampling, **paths, **settings
    )


def read_with_simpleitk(folder):
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    reader.SetOutputPixelType(SimpleITK.sitkFloat32)
    return reader.Execute()


@pytest.mark.parametrize(
    "codes", [(4, 1), (0, 2), (3, 0), (0, 0)], ids=lambda codes: f"sform {codes[0]}, qform {codes[1]}"
)
def test_both_forms_of_nifti_keep_the_field_of_view(foreign_directory, codes):  # noqa: F811
    shape = (24, 20, 3)
    image = nibabel.Nifti1Image(blobs(shape, 0, 900), None)
    to_template = np.array([[1.1, 0.03, 0, 2], [-0.02, 1.05, 0.05, -5], [0, -0.04, 1.1, 9], [0, 0, 0, 1.0]])
    image.set_qform(oblique_affine(), code=codes[1])
    image.set_sform(to_template @ oblique_affine(), code=codes[0])
    image.header["qform_code"], image.header["sform_code"] = codes[1], codes[0]
    nibabel.save(image, foreign_directory / "in.nii.gz")
    source = nibabel.load(foreign_directory / "in.nii.gz")
    upsample(foreign_directory / "in.nii.gz", foreign_directory / "out", 1.5, modality="MRI")
    result = nibabel.load(foreign_directory / "out/in/in_restored.nii.gz")
    assert result.shape == (36, 30, 3)
    forms = {"sform": codes[0], "qform": codes[1]}
    for form, code in forms.items():
        assert int(result.header[f"{form}_code"]) == code
        if code:
            old, new = (getattr(each, f"get_{form}")() for each in (source, result))
            np.testing.assert_allclose(outer_corners(new, result.shape), outer_corners(old, shape), atol=1e-3)
    np.testing.assert_allclose(
        outer_corners(result.affine, result.shape), outer_corners(source.affine, shape), atol=1e-3
    )


def test_a_derived_series_has_the_finer_grid(foreign_directory):  # noqa: F811
    rows, columns = 20, 16
    stored = blobs((3, rows, columns), 0, 900).round().astype(np.uint16)

    def change(image, index):
        image.AcquisitionMatrix = [columns, 0, 0, rows]

    write_source(foreign_directory / "in", stored, "MR", change=change)
    upsample(foreign_directory / "in", foreign_directory / "out", 2)
    folder = foreign_directory / "out/in"
    images = [pydicom.dcmread(file) for file in sorted(folder.glob("*.dcm"))]
    assert {(image.Rows, image.Columns) for image in images} == {(2 * rows, 2 * columns)}
    # The source: rows 0.8 mm apart, columns 0.6 mm; the centre of the first pixel moves by a quarter of each.
    assert list(images[0].PixelSpacing) == pytest.approx([0.4, 0.3])
    assert list(images[0].ImagePositionPatient) == pytest.approx([-10 - 0.15, -20 - 0.2, 30.0])
    assert list(images[0].AcquisitionMatrix) == [columns, 0, 0, rows]
    assert "mri_upsample 2" in images[0].DerivationDescription
    record = json.loads((folder / "restoration.json").read_text())
    assert record["settings"]["mri_upsample"] == 2.0
    assert len(record["kspace_kept"]) == 2

    grids = FourierGrid(rows, 2 * rows), FourierGrid(columns, 2 * columns)
    for image, plane in zip(images, stored, strict=True):
        wanted = np.abs(grids[0].refine @ plane @ grids[1].refine.T)
        np.testing.assert_allclose(image.pixel_array, wanted, atol=0.51)


def test_the_finer_series_covers_what_the_source_covered_for_other_programs(foreign_directory):  # noqa: F811
    stored = blobs((3, 20, 16), 0, 900).round().astype(np.uint16)
    write_source(foreign_directory / "in", stored, "MR")
    upsample(foreign_directory / "in", foreign_directory / "out", "0.25mm")
    edges = []
    for folder in ("in", "out/in"):
        image = read_with_simpleitk(foreign_directory / folder)
        first, last = [-0.5] * 3, [size - 0.5 for size in image.GetSize()]
        edges.append([image.TransformContinuousIndexToPhysicalPoint(place) for place in (first, last)])
        sides = image.GetSpacing()
    np.testing.assert_allclose(edges[1], edges[0], atol=1e-3)
    assert sides[:2] == pytest.approx((0.25, 0.25), rel=0.02)


class Sharpener(torch.nn.Module):
    """A stand-in that changes every frequency."""

    def forward(self, slices):
        return 2.0 * slices - torch.nn.functional.avg_pool2d(slices, 3, stride=1, padding=1, count_include_pad=False)


def bring_back(fine, n, axis):
    """The coarse pixels of an axis from the finer ones, by the phases of NumPy's own transform."""
    n_fine = fine.shape[axis]
    order = np.arange(-(n // 2), n // 2 + 1) if n % 2 == 0 else np.arange(-(n - 1) // 2, (n + 1) // 2)
    spectrum = np.fft.fft(np.moveaxis(fine, axis, -1)) / n_fine
    first = (n / n_fine - 1) / 2
    waves = np.exp(2j * np.pi * np.outer(order, np.arange(n) - first) / n)
    return np.moveaxis((spectrum[..., order] @ waves).real, -1, axis)


@pytest.mark.parametrize("upsampling", [1.5, 2, 3])
def test_downsampling_the_file_by_kspace_gives_the_scan_again(foreign_directory, upsampling):  # noqa: F811
    volume = blobs((20, 17, 3), 100, 900)
    nibabel.save(nibabel.Nifti1Image(volume, oblique_affine()), foreign_directory / "in.nii.gz")
    errors = {}
    for consistency in (True, False):
        folder = foreign_directory / f"out_{consistency}"
        source = foreign_directory / "in.nii.gz"
        upsample(source, folder, upsampling, network=Sharpener(), modality="MRI", data_consistency=consistency)
        fine = nibabel.load(folder / "in/in_restored.nii.gz").get_fdata()
        errors[consistency] = np.abs(bring_back(bring_back(fine, 20, 0), 17, 1) - volume).max()
    # Of 900; the consistency is computed in single precision.
    assert errors[True] < 0.02 < 1 < errors[False]


@pytest.mark.parametrize("kind", ["NIfTI", "DICOM"])
def test_values_lie_where_simpleitk_resamples_them_to(foreign_directory, kind):  # noqa: F811
    """By cubic splines, within 1 % of the range; a quarter of a pixel off would be more than twice as much."""
    rows, columns = 48, 40
    y, x = np.mgrid[:rows, :columns]
    smooth = 900 * np.exp(-((y - 22.3) ** 2 + (x - 17.6) ** 2) / 50)
    if kind == "NIfTI":
        volume = np.repeat(smooth.T[..., None], 3, axis=-1).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(volume, oblique_affine()), foreign_directory / "in.nii.gz")
        upsample(foreign_directory / "in.nii.gz", foreign_directory / "out", 2, modality="MRI")
        source, result = (foreign_directory / name for name in ("in.nii.gz", "out/in/in_restored.nii.gz"))
        images = [SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat32) for path in (source, result)]
    else:
        stored = np.repeat(smooth[None], 3, axis=0).round().astype(np.uint16)
        write_source(foreign_directory / "in", stored, "MR")
        upsample(foreign_directory / "in", foreign_directory / "out", 2)
        images = [read_with_simpleitk(foreign_directory / folder) for folder in ("in", "out/in")]
    source, result = images
    assert result.GetSize() == (2 * columns, 2 * rows, 3)

    def error(shift):
        """Largest difference where the source's grid has neighbours on all sides."""
        moved = SimpleITK.TranslationTransform(3, [shift * side for side in source.GetSpacing()])
        resampled = SimpleITK.Resample(source, result, moved, SimpleITK.sitkBSpline)
        inner = np.s_[:, 4:-4, 4:-4]
        return np.abs(SimpleITK.GetArrayFromImage(resampled)[inner] - SimpleITK.GetArrayFromImage(result)[inner]).max()

    assert error(0.0) < 9 < 20 < error(0.25)
