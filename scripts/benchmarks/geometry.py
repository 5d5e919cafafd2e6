"""Positions of voxels in several programs, for NIfTI files with all kinds of headers and for the bundle's results.

``python -m scripts.benchmarks.geometry`` writes the table of docs/concepts/geometry.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import nibabel
import numpy as np
import SimpleITK
from numpy.typing import NDArray

from bundle.tat.dicom.geometry import LPS_TO_RAS
from bundle.tat.transforms import LoadScand, SaveRestoredd
from bundle.tat.volume_files.geometry import corner_distance
from scripts.benchmarks.documents import ROOT, fill, markdown

SHAPE: Final = (24, 20, 12)
DOCUMENT: Final = ROOT / "docs" / "concepts" / "geometry.md"
_TO_MM: Final = MappingProxyType({"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 0.001})
# Corners that are closer than this are at the same position [mm].
_SAME: Final = 0.005


def _scanner() -> NDArray[np.float64]:
    """Oblique, with voxels of 0.8 x 0.9 x 5 mm."""
    a, b = 0.3, -0.2
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ np.diag([-0.8, 0.9, 5.0])
    affine[:3, 3] = 41.5, -62.25, 30.0
    return affine


SCANNER: Final = _scanner()
# Linear registration to a template stretches and shears.
TEMPLATE: Final = np.array([[1.08, 0.03, 0, 2], [-0.02, 1.05, 0.05, -5], [0, -0.04, 1.1, 9], [0, 0, 0, 1]]) @ SCANNER
# A rigid one turns and shifts.
ALIGNED: Final = (
    np.array([[np.cos(0.2), -np.sin(0.2), 0, 3], [np.sin(0.2), np.cos(0.2), 0, -4], [0, 0, 1, 6], [0, 0, 0, 1]])
    @ SCANNER
)
TILTED: Final = SCANNER @ np.array([[1, 0, 0, 0], [0, 1, 1.2, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@dataclass(frozen=True)
class Kind:
    """A kind of header.

    Args:
        sform: array indices to RAS [mm], ``(4, 4)``.
        qform: array indices to RAS [mm], ``(4, 4)``; a shear in it is dropped, since a quaternion cannot store it.
        codes: of the sform and of the qform.
        unit: of the file, in which both forms are stored.
    """

    sform: NDArray[np.float64]
    qform: NDArray[np.float64]
    codes: tuple[int, int]
    unit: str = "mm"


KINDS: Final = MappingProxyType(
    {
        "sform alone": Kind(SCANNER, SCANNER, (1, 0)),
        "qform alone": Kind(SCANNER, SCANNER, (0, 1)),
        "both, equal": Kind(SCANNER, SCANNER, (1, 1)),
        "both, qform of the scanner, sform to a template": Kind(TEMPLATE, SCANNER, (4, 1)),
        "both, sform turned to another scan": Kind(ALIGNED, SCANNER, (2, 1)),
        "sform to a template alone": Kind(TEMPLATE, SCANNER, (4, 0)),
        "tilted gantry, qform without the tilt": Kind(TILTED, TILTED, (1, 1)),
        "tilted gantry, sform alone": Kind(TILTED, TILTED, (1, 0)),
        "codes 0 and 0": Kind(SCANNER, SCANNER, (0, 0)),
        "codes 2 and 2": Kind(SCANNER, SCANNER, (2, 2)),
        "codes 3 and 1": Kind(SCANNER, SCANNER, (3, 1)),
        "codes 4 and 4": Kind(SCANNER, SCANNER, (4, 4)),
        "metre": Kind(SCANNER, SCANNER, (1, 1), "meter"),
        "micron": Kind(SCANNER, SCANNER, (1, 1), "micron"),
    }
)


def write_kind(kind: Kind, path: Path) -> Path:
    """Write a file with such a header.

    Args:
        kind: of header.
        path: file to write.
    """
    scale = np.diag([1 / _TO_MM[kind.unit]] * 3 + [1.0])
    values = np.random.default_rng(0).normal(0, 100, SHAPE).astype(np.float32)
    image = nibabel.Nifti1Image(values, None)
    image.header.set_qform(scale @ kind.qform, kind.codes[1])
    image.header.set_sform(scale @ kind.sform, kind.codes[0])
    image.header.set_xyzt_units(kind.unit)
    nibabel.save(image, path)
    return path


def nibabel_affine(path: Path) -> NDArray[np.float64]:
    """The affine that nibabel gives, in millimetres."""
    image = nibabel.load(path)
    return np.diag([_TO_MM[image.header.get_xyzt_units()[0]]] * 3 + [1.0]) @ image.affine


def simpleitk_affine(path: Path) -> NDArray[np.float64] | None:
    """The affine that SimpleITK gives, in RAS [mm]; ``None`` where it refuses the file."""
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError:
        return None
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ affine


def bundle_affine(path: Path) -> NDArray[np.float64]:
    """The affine that the bundle reads, in RAS [mm]."""
    affine: NDArray[np.float64] = LoadScand("image")({"image": str(path)})["image"].affine.numpy()
    return affine


def write_result(path: Path, folder: Path) -> Path:
    """Write the bundle's result of a file.

    Args:
        path: the file.
        folder: for results.
    """
    SaveRestoredd("image", str(folder))({**LoadScand("image")({"image": str(path)}), "case": path.parent.name})
    return folder / path.parent.name / f"{path.parent.name}_restored.nii.gz"


def measure(kind: Kind, folder: Path) -> dict[str, float | None]:
    """Distance of the corners in each program from those of the source in nibabel [mm].

    Args:
        kind: of header.
        folder: for the file and the result.

    Returns:
        A distance for each program; ``None`` where SimpleITK refuses the file.
    """
    (folder / "source").mkdir()
    source = write_kind(kind, folder / "source" / "scan.nii.gz")
    result = write_result(source, folder / "out")
    truth = nibabel_affine(source)
    readers: dict[str, tuple[Callable[[Path], NDArray[np.float64] | None], Path]] = {
        "SimpleITK": (simpleitk_affine, source),
        "the bundle": (bundle_affine, source),
        "nibabel, of the result": (nibabel_affine, result),
        "SimpleITK, of the result": (simpleitk_affine, result),
    }
    affines = {name: read(path) for name, (read, path) in readers.items()}
    return {name: None if a is None else corner_distance(truth, a, SHAPE) for name, a in affines.items()}


def main() -> None:
    """Write the table."""
    rows = []
    for name, kind in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = measure(kind, Path(folder))
        rows.append([name, *(_cell(apart) for apart in found.values())])
    fill([DOCUMENT], {"geometry": markdown(["header", *found], rows)})


def _cell(apart: float | None) -> str:
    if apart is None:
        return "refused"
    return "there" if apart < _SAME else f"{apart:.1f} mm off"


if __name__ == "__main__":
    main()
