"""Between MONAI's tensors and the arrays that MONAI Deploy passes from operator to operator."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from bundle.tat.cases.record import SOURCE_KEY
from bundle.tat.data.datalist import CASE_KEY
from bundle.tat.dicom.acquisition_matrix import ACQUIRED_SHARES
from bundle.tat.dicom.geometry import LPS_TO_RAS
from bundle.tat.dicom.padding import PADDING
from bundle.tat.dicom.reader import ASSUMPTIONS, EVENLY_SPACED, SOURCE_FILES, SOURCE_FRAMES
from bundle.tat.engines.case_runner import Case
from bundle.tat.inferers.planes import IN_PLANES
from bundle.tat.quality.record import QUALITY_KEY
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.in_distribution import KSPACE_KEPT
from bundle.tat.transforms.load import SOURCES_KEY
from bundle.tat.transforms.scale.intensity import N_OUTSIDE_RANGE, NETWORK_SCALE
from bundle.tat.transforms.upsample import FINER_PLANE

# Entries of an image's metadata that go with an array: a derived series and its record are made from them.
CARRIED: Final = (
    "filename_or_obj",
    "modality",
    SOURCE_FILES,
    SOURCE_FRAMES,
    PADDING,
    ASSUMPTIONS,
    EVENLY_SPACED,
    ACQUIRED_SHARES,
    N_OUTSIDE_RANGE,
    NETWORK_SCALE,
    KSPACE_KEPT,
    FINER_PLANE,
    IN_PLANES,
)
# Entries of a case's data that go with the array, and the entry for its row of the table.
ENTRIES: Final = (CASE_KEY, SOURCE_KEY, SOURCES_KEY, QUALITY_KEY, "modality")
ROW: Final = "row"


class Volume(NamedTuple):
    """An image as MONAI Deploy has it.

    Args:
        values: ``(slices, rows, columns)``.
        metadata: what the operators of MONAI Deploy read, and the entries named in ``CARRIED``.
    """

    values: NDArray[np.float32]
    metadata: dict[str, Any]


def to_volume_of(case: Case, key: str) -> Volume:
    """Turn an image of a case into an array with the metadata that the next operator needs.

    Args:
        case: with its data.
        key: ``image`` when it was read, ``pred`` when it was restored.

    Returns:
        As of ``to_volume``; the metadata also hold the ``case``, its row of the table, and what it is saved from.

    Raises:
        RefusedInputError: the image is not from DICOM.
    """
    data = case.data or {}
    values, metadata = to_volume(data[key])
    return Volume(values, {**metadata, **{name: data[name] for name in ENTRIES if name in data}, ROW: case.row})


def to_case(values: NDArray[np.float32], metadata: Mapping[str, Any], key: str) -> Case:
    """Undo ``to_volume_of``.

    Args:
        values: ``(slices, rows, columns)``.
        metadata: of ``to_volume_of``; further entries are left out.
        key: what the image is in the data of the case.

    Raises:
        RefusedInputError: see ``to_tensor``.
    """
    image = to_tensor(values, metadata)
    entries = {name: metadata[name] for name in ENTRIES if name in metadata}
    return Case(metadata[ROW], {**entries, key: image})


def to_volume(image: MetaTensor) -> Volume:
    """Turn a tensor into an array with the metadata of MONAI Deploy's ``DICOMSeriesToVolumeOperator``.

    Args:
        image: ``(1, W, H, D)`` in float32 with a RAS affine [mm], read from a DICOM series.

    Returns:
        Array and metadata; they share the tensor's memory. ``row_pixel_spacing`` is the distance [mm] along a row, as
        MONAI Deploy's inference operator takes it.

    Raises:
        RefusedInputError: the image is not from DICOM.
    """
    if not image.meta.get(SOURCE_FILES):
        raise RefusedInputError(f"{image.meta.get('filename_or_obj')} is no DICOM series: restore it with tat restore")
    affine = np.asarray(image.affine.cpu(), dtype=np.float64)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    names = ("row_pixel_spacing", "col_pixel_spacing", "depth_pixel_spacing")
    metadata = {
        **{name: image.meta[name] for name in CARRIED if name in image.meta},
        **{name: float(step) for name, step in zip(names, spacing, strict=True)},
        "affine": affine,
        "nifti_affine_transform": affine,
        "dicom_affine_transform": LPS_TO_RAS @ affine,
        "space": "RAS",
    }
    values: NDArray[np.float32] = image.as_tensor()[0].to("cpu", torch.float32).numpy()
    return Volume(values.transpose(2, 1, 0), metadata)


def to_tensor(values: NDArray[np.float32], metadata: Mapping[str, Any]) -> MetaTensor:
    """Undo ``to_volume``.

    Args:
        values: ``(slices, rows, columns)``.
        metadata: of ``to_volume``; further entries are left out.

    Returns:
        ``(1, W, H, D)``, sharing the array's memory.

    Raises:
        RefusedInputError: the metadata are not of ``to_volume``. PET of MONAI Deploy's own reader, for example, is not
            in SUV and may have been truncated.
    """
    if not metadata.get(SOURCE_FILES):
        raise RefusedInputError(
            "the image does not name its files: read it with StudyReaderOperator or SeriesReaderOperator"
        )
    affine = torch.from_numpy(np.array(metadata["nifti_affine_transform"], dtype=np.float64))
    meta = {name: metadata[name] for name in CARRIED if name in metadata}
    meta |= {"original_affine": affine.clone(), "space": "RAS", "original_channel_dim": "no_channel"}
    return MetaTensor(torch.from_numpy(values.transpose(2, 1, 0))[None], affine=affine, meta=meta)
