"""The sform and the qform, with which a NIfTI header says where its voxels lie: read and written unchanged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import nibabel
import numpy as np
from numpy.typing import NDArray

from bundle.tat.volume_files.geometry import GEOMETRY_TOLERANCE, corner_distance, smallest_side

# Entries of the two affines of a header may differ by this much [mm]; both are stored in float32.
AFFINE_TOLERANCE: Final = 1e-3


@dataclass(frozen=True)
class NiftiForms:
    """The elements of a NIfTI header that hold its sform and its qform, in millimetres.

    The qform is a rotation, the sform any affine. A reader takes the sform where its code is above 0, else the qform
    where its code is above 0, else the voxel sizes alone. Programs differ in which they take first, so that a result
    must keep both.

    Args:
        pixdim: 1 or -1 for the handedness of the qform's axes, then the voxel sizes [mm].
        quatern: b, c and d of the qform's rotation.
        qoffset: of the qform [mm].
        qform_code: the space that the qform leads to, 0 to 5; 0 for none.
        srow: the three rows of the sform [mm].
        sform_code: the space that the sform leads to, 0 to 5; 0 for none.

    Source:
        nifti1.h, https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h, methods 1 to 3.
    """

    pixdim: tuple[float, ...]
    quatern: tuple[float, ...]
    qoffset: tuple[float, ...]
    qform_code: int
    srow: tuple[tuple[float, ...], ...]
    sform_code: int

    @classmethod
    def of_header(cls, header: nibabel.Nifti1Header, to_mm: float = 1.0) -> NiftiForms:
        """Read the forms of a header.

        Args:
            header: of NIfTI-1 or NIfTI-2.
            to_mm: millimetres in its unit of length.
        """
        return cls(
            pixdim=(float(header["pixdim"][0]), *_floats(header["pixdim"][1:4], to_mm)),
            quatern=_floats([header[f"quatern_{axis}"] for axis in "bcd"]),
            qoffset=_floats([header[f"qoffset_{axis}"] for axis in "xyz"], to_mm),
            qform_code=int(header["qform_code"]),
            srow=tuple(_floats(header[f"srow_{axis}"], to_mm) for axis in "xyz"),
            sform_code=int(header["sform_code"]),
        )

    @classmethod
    def of_affine(cls, affine: NDArray[np.float64], code: str = "scanner") -> NiftiForms:
        """Write an affine as both forms.

        Args:
            affine: array indices to RAS [mm], ``(4, 4)``.
            code: the space that it leads to: ``scanner``, ``aligned``, ``talairach``, ``mni`` or ``template``.

        Returns:
            The forms. A quaternion cannot hold the shear of a tilted gantry; where it would give another geometry, the
            qform has code 0.
        """
        header = nibabel.Nifti1Header()
        header.set_sform(affine, code=code)
        header.set_qform(affine, code=code)
        if not np.allclose(header.get_qform(), affine, atol=AFFINE_TOLERANCE):
            header.set_qform(None, code="unknown")
        return cls.of_header(header)

    @classmethod
    def from_json(cls, text: str) -> NiftiForms:
        """Undo ``to_json``."""
        content: dict[str, Any] = json.loads(text)
        return cls(**{name: _tuples(value) for name, value in content.items()})

    def to_json(self) -> str:
        """The forms as text, which MONAI's batches keep as it is."""
        return json.dumps(asdict(self))

    def regridded(self, to_old: NDArray[np.float64]) -> NiftiForms:
        """The forms of a grid with other voxels along the same axes.

        Args:
            to_old: indices of the new grid to those of this one, ``(4, 4)``: positive sides and a shift.

        Returns:
            Both forms of the new grid, with their codes.
        """
        sides, shift = np.diag(to_old)[:3], to_old[:3, 3]
        header = nibabel.Nifti1Header()
        for axis, value in zip("bcd", self.quatern, strict=True):
            header[f"quatern_{axis}"] = value
        steps = np.array(self.pixdim[1:]) * [1.0, 1.0, self.pixdim[0] or 1.0]
        try:
            moved = np.array(self.qoffset) + nibabel.quaternions.quat2mat(header.get_qform_quaternion()) @ (
                steps * shift
            )
        except ValueError:  # a qform that is no rotation leads nowhere
            moved = np.array(self.qoffset)
        sform = self.sform @ to_old
        return replace(
            self,
            pixdim=(self.pixdim[0], *_floats(np.array(self.pixdim[1:]) * sides)),
            qoffset=_floats(moved),
            srow=tuple(_floats(row) for row in sform[:3]),
        )

    def header(self, shape: Sequence[int]) -> nibabel.Nifti1Header:
        """The header of a volume in float32 that has these forms.

        Args:
            shape: sizes of its array axes.
        """
        header = nibabel.Nifti1Header()
        header.set_data_dtype(np.float32)
        header.set_data_shape(shape)
        header.set_xyzt_units("mm")
        header["pixdim"][:4] = self.pixdim
        for axis, value in zip("bcd", self.quatern, strict=True):
            header[f"quatern_{axis}"] = value
        for axis, offset, row in zip("xyz", self.qoffset, self.srow, strict=True):
            header[f"qoffset_{axis}"], header[f"srow_{axis}"] = offset, row
        header["qform_code"], header["sform_code"] = self.qform_code, self.sform_code
        return header

    def note(self, shape: Sequence[int]) -> str:
        """A note for the user about these forms.

        Args:
            shape: sizes of the array axes.

        Returns:
            One sentence that begins with a verb; empty where the forms agree, or where there is only one.
        """
        if not self.qform_code and not self.sform_code:
            return "names no orientation (sform and qform codes are 0): left and right are unknown; the codes are kept"
        if not self.qform_code or not self.sform_code:
            return ""
        used = f"the sform (code {self.sform_code}) is used, the qform (code {self.qform_code}) is kept beside it"
        try:
            qform = self.header(shape).get_qform()
        except (ValueError, nibabel.spatialimages.HeaderDataError):
            return f"has a qform that is no rotation: {used}"
        apart = corner_distance(self.sform, qform, shape)
        if apart <= GEOMETRY_TOLERANCE * smallest_side(self.sform):
            return ""
        return f"has two geometries, whose corners lie up to {apart:.3g} mm apart: {used}"

    @property
    def sform(self) -> NDArray[np.float64]:
        """The sform, also with code 0, ``(4, 4)`` [mm]."""
        return np.array([*self.srow, (0.0, 0.0, 0.0, 1.0)])


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were made from."""
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def _floats(values: Sequence[float] | NDArray[np.floating[Any]], factor: float = 1.0) -> tuple[float, ...]:
    return tuple(float(value) * factor for value in values)
