"""All scans of an input, for a person to read or as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from monai.bundle import ConfigParser

from bundle.tat.cases.refusals import explain_failure
from bundle.tat.data.datalist import CASE_KEY, IMAGE_KEY, SERIES_KEY, Item, find_scans, list_items, resolve_path
from bundle.tat.data.search import search_folder
from bundle.tat.dicom.study import Skipped
from bundle.tat.formats import case_name
from bundle.tat.info.describe import ScanDescription, VoxelCheck, describe
from bundle.tat.preflight import check_ids
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.in_distribution import KSPACE_KEPT, shares_in_words
from bundle.tat.transforms.scale.pet_scale import NOT_SET

_COLUMNS: Final = ("scan", "files", "format", "modality", "matrix", "slices", "voxel [mm]", "axes", "unit", "type")
_ONLY_HEADERS: Final = "Only headers were read. With --deep, the voxels are checked too."


def report_scans(
    dataset_dir: str,
    *,
    config_file: str,
    modality: str | None = None,
    section: str = "testing",
    deep: bool = False,
    as_json: bool = False,
    **ids: Any,
) -> str:
    """Describe what an input holds, and what would be restored, refused or skipped.

    Args:
        dataset_dir: as for ``find_scans``.
        config_file: ``inference.json``, whose preprocessing is run with ``deep``.
        modality: as the user gives it.
        section: of a datalist JSON.
        deep: read the voxels, and check them.
        as_json: return JSON, for programs.
        **ids: of the config, for ``deep``.

    Returns:
        A table, or JSON with ``scans``, ``skipped`` and ``refused``. The last is why the whole input would be refused.

    Raises:
        RefusedInputError: an id is unknown; or the input is refused and holds no scan or DICOM image to describe.
    """
    check_ids(config_file, modality=modality, **ids)
    items, skipped, refused = _find(dataset_dir, section)
    check = _voxel_check(config_file, {"modality": modality, **ids}) if deep else None
    slice_axis, pet_scale = int(ids.get("slice_axis", -1)), float(ids.get("pet_scale", NOT_SET))
    scans = [
        describe(item, modality=modality, pet_scale=pet_scale, slice_axis=slice_axis, check_voxels=check)
        for item in items
    ]
    if as_json:
        content = {"scans": [asdict(scan) for scan in scans], "skipped": [asdict(one) for one in skipped]}
        return json.dumps({**content, "refused": refused}, indent=4)
    lines = list(_table(scans, skipped))
    if refused:
        lines.append(f"refused: {refused}")
    elif not deep:
        lines.append(_ONLY_HEADERS)
    return "\n".join(lines)


def _find(dataset_dir: str, section: str) -> tuple[Sequence[Item], Sequence[Skipped], str]:
    """What is to be restored, what is skipped, and why it is refused as a whole; the last is empty otherwise."""
    with _warnings():  # they name what is skipped
        try:
            return *find_scans(dataset_dir, section), ""
        except RefusedInputError as refusal:
            items, skipped = _in_folder(resolve_path(dataset_dir))
            if not items and not skipped:
                raise
            return items, skipped, str(refusal)


def _in_folder(path: Path) -> tuple[Sequence[Item], Sequence[Skipped]]:
    """The scans of a folder that cannot be restored as it is, and its images that are skipped; nothing of a file."""
    if not path.is_dir():
        return [], []
    contents = search_folder(path)
    items = [{CASE_KEY: _own_name(item), **item} for item in list_items(contents)]
    return items, [one for one in contents.skipped if one.n_images]


def _own_name(item: Item) -> str:
    """The name of a scan where several scans may have the same one."""
    return item[SERIES_KEY].name if SERIES_KEY in item else case_name(Path(item[IMAGE_KEY]))


def _voxel_check(config_file: str, ids: Mapping[str, Any]) -> VoxelCheck:
    """What runs the preprocessing of a config on an item."""
    parser = ConfigParser()
    parser.read_config(config_file)
    parser.update({name: value for name, value in ids.items() if value is not None})
    steps = parser.get_parsed_content("preprocessing").transforms

    def check(item: Mapping[str, Any]) -> Sequence[str]:
        data: Mapping[Any, Any] = dict(item)
        with _warnings() as warned:
            try:
                for step in steps:  # not composed: that would wrap refusals
                    data = step(data)
            except Exception as error:
                reason = explain_failure(error)
                if reason is None:
                    raise
                raise RefusedInputError(reason) from error
        kept = json.loads(data[IMAGE_KEY].meta.get(KSPACE_KEPT) or "[]")
        return [*warned, *([f"holds {shares_in_words(kept)} of k-space"] if kept else [])]

    return check


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect the warnings of the package, instead of logging them."""
    collected: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            collected.append(record.getMessage())

    package, collector = logging.getLogger("bundle.tat"), Collector(logging.WARNING)
    propagated, package.propagate = package.propagate, False
    package.addHandler(collector)
    try:
        yield collected
    finally:
        package.removeHandler(collector)
        package.propagate = propagated


def _table(scans: Sequence[ScanDescription], skipped: Sequence[Skipped]) -> Iterator[str]:
    """Lines: a row for each scan, one for each thing that is skipped, notes, and how many there are of each."""
    rows = [(*_COLUMNS, "would be"), *(_row(scan) for scan in scans)]
    rows += [(one.name, str(one.n_images or ""), *[""] * 8, f"skipped: {one.reason}") for one in skipped]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for scan in scans:
        yield from (f"{scan.name}: {note}" for note in scan.notes)
    results = [scan.result for scan in scans] + ["skipped"] * len(skipped)
    yield ", ".join(f"{results.count(result)} {result}" for result in dict.fromkeys(results))


def _row(scan: ScanDescription) -> tuple[str, ...]:
    presumed = " (presumed)" if scan.unit_from == "the modality" else ""
    return (
        scan.name,
        str(scan.n_files),
        scan.format,
        f"{scan.modality} ({scan.modality_from})" if scan.modality else "",
        " x ".join(map(str, scan.shape)),
        str(scan.n_slices or ""),
        " x ".join(f"{size:.4g}" for size in scan.voxel_size),
        scan.orientation,
        f"{scan.unit}{presumed}",
        scan.dtype,
        f"{scan.result}: {scan.reason}" if scan.reason else scan.result,
    )
