"""Scans that tests write for themselves: odd sizes, oblique geometry, NIfTI and DICOM; and what is no scan."""

from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, PositronEmissionTomographyImageStorage

SOP_CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}


def oblique_affine(spacing: tuple[float, float, float] = (0.7, 0.9, 3.1)) -> np.ndarray:
    """Affine of a volume that is rotated about two axes and shifted."""
    a, b = 0.3, -0.2
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ np.diag(spacing)
    affine[:3, 3] = (-41.5, 12.25, 300.0)
    return affine


def blobs(shape: tuple[int, ...], low: float, high: float, seed: int = 0) -> np.ndarray:
    """Smooth random intensities that span [low, high] exactly."""
    generator = np.random.default_rng(seed)
    image = sum(
        np.fft.irfftn(
            np.fft.rfftn(generator.standard_normal(shape)) * _low_pass(shape, width), s=shape, axes=range(len(shape))
        )
        for width in (0.05, 0.1)
    )
    image = (image - image.min()) / (image.max() - image.min())
    return (low + image * (high - low)).astype(np.float32)


def _low_pass(shape: tuple[int, ...], width: float) -> np.ndarray:
    frequencies = np.meshgrid(*[np.fft.fftfreq(n) for n in shape[:-1]], np.fft.rfftfreq(shape[-1]), indexing="ij")
    return np.exp(-sum(f**2 for f in frequencies) / (2 * width**2))


def write_nifti(path: Path, volume: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume, oblique_affine() if affine is None else affine), path)
    return path


def write_dicom_series(
    folder: Path,
    stored: np.ndarray,
    *,
    modality: str = "CT",
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    spacing: tuple[float, float] = (0.8, 0.6),
    origin: tuple[float, float, float] = (-10.0, -20.0, 30.0),
    step: tuple[float, float, float] = (0, 0, 2.5),
    slopes: tuple[float, ...] | None = None,
    intercept: float = 0.0,
    series_uid: str = "1.2.3",
    units: str = "GML",
    **tags: object,
) -> list[Path]:
    """Write int16 pixels (slices, rows, columns) as one file a slice, the file names in scrambled order.

    ``tags`` are further elements that all slices share, by their keywords.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, pixels in enumerate(stored):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = SOP_CLASSES.get(modality, CTImageStorage)
        meta.MediaStorageSOPInstanceUID = f"{series_uid or '1.9'}.{index + 1}"
        path = folder / f"{(index * 7 + 3) % 1009:04d}.dcm"
        image = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        image.Modality, image.SeriesInstanceUID, image.StudyInstanceUID = modality, series_uid, "1.2"
        image.ImageOrientationPatient = list(orientation)
        image.ImagePositionPatient = [float(o + index * s) for o, s in zip(origin, step, strict=True)]
        image.PixelSpacing, image.SliceThickness, image.InstanceNumber = list(spacing), 2.5, index + 1
        image.Rows, image.Columns = pixels.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.RescaleSlope, image.RescaleIntercept = (slopes[index] if slopes else 1.0), intercept
        if modality == "PT":
            image.Units = units
        for name, value in tags.items():
            setattr(image, name, value)
        image.PixelData = np.ascontiguousarray(pixels, dtype="<i2").tobytes()
        if int(pydicom.__version__[0]) < 3:  # newer versions take both from the transfer syntax
            image.is_little_endian, image.is_implicit_VR = True, False
        image.save_as(path)
        paths.append(path)
    return paths


def edit_dicom(path: Path, **tags: object) -> Path:
    """Change elements of a DICOM file, or take out those that become ``None``."""
    image = pydicom.dcmread(path)
    for name, value in tags.items():
        if value is None:
            delattr(image, name)
        else:
            setattr(image, name, value)
    image.save_as(path)
    return path


def four_dimensional(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 3, 2), dtype=np.float32), np.eye(4)), folder / "x.nii.gz")
    return folder / "x.nii.gz"


def unreadable(folder: Path) -> Path:
    (folder / "x.nii.gz").write_bytes(b"\x1f\x8bgarbage")
    return folder / "x.nii.gz"


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"
