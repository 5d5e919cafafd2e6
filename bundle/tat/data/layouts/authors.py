"""The data as the paper's authors share them: slices, pickled for training and NIfTI for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import ensure_tuple
from numpy.typing import NDArray

from bundle.tat.data.datalist import Item
from bundle.tat.data.layouts.paired_folders import (
    CLEAN_FOLDER,
    DEGRADED_FOLDER,
    find_orphans,
    pair_by_name,
    refuse_orphans,
)
from bundle.tat.data.layouts.tensor_pickle import load_array
from bundle.tat.dicom.geometry import LPS_TO_RAS
from bundle.tat.formats import NIFTI_SUFFIXES, PICKLE_SUFFIXES, case_name, is_pickle
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError


class _Section(NamedTuple):
    folder: str
    suffixes: tuple[str, ...]


_SECTIONS: Final = MappingProxyType(
    {
        "training": _Section("train", PICKLE_SUFFIXES),
        "validation": _Section("validation", NIFTI_SUFFIXES),
        "testing": _Section("test", NIFTI_SUFFIXES),
    }
)


def list_reference(
    root: str,
    section: str,
    *,
    modalities: Sequence[str] = tuple(Modality.__members__),
    n_each: int | None = None,
) -> list[Item]:
    """List the slices of ``ROOT/{PET,CT,MRI}/{train,validation,test}/{LQ,HQ}/NAME``.

    Args:
        root: folder.
        section: ``training`` (``.bin``), ``validation`` or ``testing`` (``.nii``).
        modalities: those to take.
        n_each: number of slices to take of each modality, evenly spaced in the order of their names; ``None`` for all.

    Returns:
        Items with ``image`` (degraded), ``label`` (clean), ``modality`` and ``n_slices``, which is 1.

    Raises:
        RefusedInputError: unknown section, missing or empty folders, or slices without a partner (all listed).

    Source:
        Yang et al. 2025, arXiv:2512.14550, released data.
    """
    if section not in _SECTIONS:
        raise RefusedInputError(f"section is {section!r}: pass {', '.join(_SECTIONS)}")
    items: list[Item] = []
    orphans: list[str] = []
    for modality in modalities:
        folder = Path(root).expanduser().absolute() / modality / _SECTIONS[section].folder
        low, high = (
            _files_by_name(folder / name, _SECTIONS[section].suffixes) for name in (DEGRADED_FOLDER, CLEAN_FOLDER)
        )
        orphans += find_orphans(low, high)
        items += _spread(pair_by_name(low, high, modality), n_each)
    refuse_orphans(orphans)
    return [{**item, "n_slices": 1} for item in items]


def _spread(items: list[Item], n_each: int | None) -> list[Item]:
    """Take some items, evenly spaced: neighbours are slices of one patient."""
    if n_each is None or n_each >= len(items):
        return items
    return [items[index * len(items) // n_each] for index in range(n_each)]


def _files_by_name(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    files = sorted(folder.glob("*")) if folder.is_dir() else []
    named = {case_name(path): path for path in files if path.name.lower().endswith(suffixes)}
    if not named:
        raise RefusedInputError(
            f"{folder} holds no {' or '.join(suffixes)} file: pass the folder above {folder.parts[-3]}"
        )
    return named


class PickledSliceReader(ImageReader):
    """MONAI reader of one slice, pickled as a torch tensor or numpy array of shape ``(1, H, W)``.

    The array is ``(W, H)``, columns first, as nibabel reads the NIfTI slices that SimpleITK wrote of the same data. A
    pickle has no geometry: the affine says 1 mm pixels.

    Raises:
        RefusedInputError: another shape, or a file that holds anything but one array or tensor.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether the path is named like a pickled slice."""
        return is_pickle(Path(ensure_tuple(filename)[0]))

    def read(self, data: Sequence[PathLike] | PathLike, **_: Any) -> NDArray[np.float32]:
        """Read the slice.

        Args:
            data: file; of a sequence the first is taken.

        Returns:
            Shape ``(W, H)``, in physical units.
        """
        path = Path(ensure_tuple(data)[0])
        values = load_array(path)
        if values.ndim != 3 or values.shape[0] != 1:
            raise RefusedInputError(f"{path} holds an array of shape {values.shape}: pass a slice of shape (1, H, W)")
        return np.array(values[0].T, dtype=np.float32, order="C")

    def get_data(self, img: NDArray[np.float32]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The slice and its metadata.

        Args:
            img: what ``read`` returned.

        Returns:
            Array ``(W, H)`` and a dictionary with ``affine``, ``spatial_shape`` and ``original_channel_dim``.
        """
        metadata = {
            "affine": LPS_TO_RAS.copy(),
            "original_affine": LPS_TO_RAS.copy(),
            "spatial_shape": np.asarray(img.shape),
            "original_channel_dim": "no_channel",
            "space": "RAS",
        }
        return img, metadata
