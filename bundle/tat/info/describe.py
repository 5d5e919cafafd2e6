"""What is known of one scan, and whether it would be restored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from monai.utils import ensure_tuple

from bundle.tat.data.datalist import CASE_KEY, IMAGE_KEY, series_of
from bundle.tat.data.pet_sidecar import sidecar_suv_factor, sidecar_unit
from bundle.tat.data.scan_info import ScanInfo, read_scan_info, series_info
from bundle.tat.data.sidecar import Sidecar, sidecar_of
from bundle.tat.dicom.open import read_image
from bundle.tat.dicom.study import Series
from bundle.tat.dicom.suv.factor import suv_factor
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.modality import modality_beside, resolve_modality
from bundle.tat.transforms.scale.pet_scale import NOT_SET
from bundle.tat.transforms.volume import check_shape
from bundle.tat.volume_files.volume_file import check_real

# Runs the preprocessing on an item, and returns its warnings.
VoxelCheck = Callable[[Mapping[str, Any]], Sequence[str]]

_N_AXES: Final = 3


@dataclass(frozen=True)
class ScanDescription:
    """What is known of a scan. Only the path, which the user gave, may name a patient.

    Args:
        name: the name that its result would have.
        path: its file, or the folder of its files.
        n_files: how many files it is read from.
        result: whether it would be restored or refused.
        reason: why it would be refused; empty otherwise.
        notes: warnings of the checks on its voxels.
        format: as ``ScanInfo`` has it. This and all that follows is empty where the header cannot be read.
        modality: ``CT``, ``MRI`` or ``PET``.
        modality_from: the sources of the modality.
        shape: sizes of the array axes.
        n_slices: how many the network would restore.
        voxel_size: distances of neighbouring voxels along the array axes [mm].
        orientation: where the array axes point to, such as ``LPS``.
        unit: of the intensities.
        unit_from: the source of the unit; ``the modality`` where the file names none, and the unit is presumed.
        dtype: type of the stored values.
    """

    name: str
    path: str
    n_files: int
    result: Literal["restored", "refused"] = "restored"
    reason: str = ""
    notes: tuple[str, ...] = ()
    format: str = ""
    modality: str = ""
    modality_from: str = ""
    shape: tuple[int, ...] = ()
    n_slices: int | None = None
    voxel_size: tuple[float, ...] = ()
    orientation: str = ""
    unit: str = ""
    unit_from: str = ""
    dtype: str = ""


def describe(
    item: Mapping[str, Any],
    *,
    modality: str | None = None,
    pet_scale: float = NOT_SET,
    slice_axis: int = -1,
    check_voxels: VoxelCheck | None = None,
) -> ScanDescription:
    """Describe a scan by its header, and by its voxels if they are to be checked.

    Args:
        item: as ``find_scans`` lists it.
        modality: as the user gives it.
        pet_scale: the user's factor from a PET file's unit to SUV.
        slice_axis: array axis that the slices are stacked along.
        check_voxels: runs the preprocessing; ``None`` reads headers only.
    """
    files = [Path(str(file)) for file in ensure_tuple(item[IMAGE_KEY])]
    place = files[0] if len(files) == 1 else files[0].parent
    scan = ScanDescription(str(item[CASE_KEY]), str(place), len(files))
    try:
        series = series_of(item)
        if series is not None:
            scan = replace(scan, n_files=len(series.files))
        info = read_scan_info(files[0]) if series is None else series_info(series, allow_uneven=True)
        scan = _with_header(scan, info, slice_axis)
        sidecar = sidecar_of(item)
        scan = _with_modality(scan, item, {"the file": info.modality, **modality_beside(files[0], sidecar)}, modality)
        scan = _with_unit(scan, sidecar)
        _check_header(files[0], series, info)
        if sidecar is not None and scan.modality == Modality.PET and pet_scale == NOT_SET:
            sidecar_suv_factor(sidecar)
        notes = check_voxels(item) if check_voxels is not None else ()
        return replace(scan, notes=tuple(notes))
    except RefusedInputError as refusal:
        return replace(scan, result="refused", reason=str(refusal).removeprefix(f"{place}: "))


def _with_header(scan: ScanDescription, info: ScanInfo, slice_axis: int) -> ScanDescription:
    shape = (*info.shape, 1)[:_N_AXES]
    return replace(
        scan,
        format=info.format,
        shape=info.shape,
        n_slices=shape[slice_axis % _N_AXES],
        voxel_size=info.voxel_size,
        orientation=info.orientation,
        unit=info.unit or "",
        unit_from="the file" if info.unit else "",
        dtype=info.dtype,
    )


def _with_modality(
    scan: ScanDescription, item: Mapping[str, Any], by_file: Mapping[str, object], modality: str | None
) -> ScanDescription:
    """Add the modality that all sources name."""
    sources = {"the datalist": item.get("modality"), **by_file, "--modality": modality}
    words = {source: str(getattr(word, "value", word)) for source, word in sources.items() if word}
    return replace(scan, modality=resolve_modality(words).value, modality_from=" and ".join(words))


def _with_unit(scan: ScanDescription, sidecar: Sidecar | None) -> ScanDescription:
    """Add the unit of the intensities, where the file does not name it."""
    if scan.unit:
        return scan
    known = sidecar_unit(sidecar) if sidecar is not None and scan.modality == Modality.PET else None
    if sidecar is not None and known:
        return replace(scan, unit=known, unit_from=f"its sidecar {sidecar.path.name}")
    return replace(scan, unit=INTENSITY_RANGES[Modality(scan.modality)].unit, unit_from="the modality")


def _check_header(path: Path, series: Series | None, info: ScanInfo) -> None:
    """Refuse what can be refused without voxels."""
    check_real(path, info.dtype)
    *spatial, last = info.shape
    check_shape((info.n_values, *info.shape) if len(info.shape) <= _N_AXES else (last, *spatial))
    if series is not None and info.modality is Modality.PET:
        for header in series.headers:
            suv_factor(read_image(header.path))
