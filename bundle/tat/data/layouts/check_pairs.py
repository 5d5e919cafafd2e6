"""The check of a list before training starts: all files that cannot be used are named at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from monai.utils import ensure_tuple
from tqdm import tqdm

from bundle.tat.data.datalist import IMAGE_KEY, Item
from bundle.tat.data.scan_info import ScanInfo, read_scan_info
from bundle.tat.modality import parse_modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.volume_files.geometry import GEOMETRY_TOLERANCE, corner_distance, smallest_side

_SECONDS_BEFORE_BAR: Final = 2.0


def check_pairs(
    items: Sequence[Item], keys: Sequence[str] = ("image", "label"), *, tasks: str | Sequence[str] | None = None
) -> list[Item]:
    """Open the header of every scan of a list, and refuse the list if one of them cannot be trained on.

    Voxels are not read, so that a damaged compressed file may be found only later. A progress bar shows for lists that
    take more than two seconds.

    Args:
        items: from any of the listing functions.
        keys: entries that every item must have; ``("label",)`` for clean scans that are degraded on the fly. If an item
            also has an ``image``, it is checked too.
        tasks: modalities to keep, one or several; ``None`` keeps all. A list of one is the task-specific setting.

    Returns:
        The items, with ``modality`` as the training step needs it and with ``n_slices``: samples are drawn in
        proportion to it. An ``n_slices`` that an item already has (some central slices) is kept.

    Raises:
        RefusedInputError: there are no items, or some cannot be used, with one line for each. Files are unpaired,
            missing or unreadable. A pair differs in shape or place. Modalities are unknown or contradict each other. A
            scan has fewer slices than the item says.
    """
    if not items:
        raise RefusedInputError("the list of pairs is empty: add scans to train or validate on")
    checked: list[Item] = []
    faults: list[str] = []
    for item in tqdm(items, desc="checking scans", unit="item", delay=_SECONDS_BEFORE_BAR, leave=False):
        try:
            checked.append(_check_item(item, keys))
        except RefusedInputError as fault:
            faults.append(str(fault))
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise RefusedInputError(f"{len(faults)} of {len(items)} items cannot be used:\n{lines}")
    return checked if tasks is None else _of_tasks(checked, ensure_tuple(tasks))


def _of_tasks(items: Sequence[Item], tasks: Sequence[str]) -> list[Item]:
    """The items of some tasks."""
    wanted = {parse_modality(task).value for task in tasks}
    kept = [item for item in items if item["modality"] in wanted]
    if not kept:
        raise RefusedInputError(
            f"none of {len(items)} items is of the tasks {', '.join(sorted(wanted))}: pass other --tasks, or add scans"
        )
    return kept


def _check_item(item: Item, keys: Sequence[str]) -> Item:
    """Fill one item in, or refuse it."""
    missing = [key for key in keys if key not in item]
    if missing:
        raise RefusedInputError(
            f"{_name(item)} has no {' and no '.join(missing)}, it is unpaired: add the partner or remove the item"
        )
    paths = [Path(item[key]) for key in dict.fromkeys((*keys, *({IMAGE_KEY} & item.keys())))]
    headers = [read_scan_info(path) for path in paths]
    for path, header in zip(paths[1:], headers[1:], strict=True):
        _check_grids(paths[0], headers[0], path, header)
    n_slices = int(item.get("n_slices", headers[0].n_slices))
    if not 1 <= n_slices <= headers[0].n_slices:
        raise RefusedInputError(
            f"{paths[0]} has {headers[0].n_slices} slices: correct its n_slices, which is {n_slices}"
        )
    return {**item, "modality": _modality(item, headers), "n_slices": n_slices}


def _check_grids(first_path: Path, first: ScanInfo, second_path: Path, second: ScanInfo) -> None:
    """Refuse a pair whose voxels do not lie on each other."""
    if first.shape != second.shape:
        sizes = (" x ".join(str(size) for size in header.shape) for header in (first, second))
        raise RefusedInputError(
            f"{first_path} and {second_path} differ in shape, {next(sizes)} and {next(sizes)}: resample one to the "
            "grid of the other"
        )
    apart = corner_distance(first.affine, second.affine, first.shape)
    if not apart <= GEOMETRY_TOLERANCE * smallest_side(first.affine):
        raise RefusedInputError(
            f"{first_path} and {second_path} lie {apart:.3g} mm apart: resample one to the grid of the other"
        )


def _modality(item: Item, headers: Sequence[ScanInfo]) -> str:
    """The modality that the item and the headers agree on."""
    try:
        named = {parse_modality(str(item["modality"]))} if item.get("modality") else set()
    except RefusedInputError as error:
        raise RefusedInputError(f"{_name(item)}: {error}") from error
    named |= {header.modality for header in headers if header.modality}
    if len(named) > 1:
        names = " and ".join(sorted(modality.value for modality in named))
        raise RefusedInputError(f"{_name(item)}: list and files name the modalities {names}; correct the wrong one")
    if not named:
        raise RefusedInputError(f"{_name(item)}: neither list nor file names its modality; name it in the list")
    return next(iter(named)).value


def _name(item: Item) -> str:
    return str(item.get("image") or item.get("label") or item)
