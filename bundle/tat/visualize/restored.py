"""Drawing restored files: the middle slice of each, beside what it was restored from (needs the extra ``report``)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from bundle.tat.data.datalist import find_scans
from bundle.tat.evaluation.cases import Scan, is_one_grid, read_cases
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.load import LoadScand
from bundle.tat.transforms.modality import ResolveModalityd
from bundle.tat.transforms.mri_scale import MriScale
from bundle.tat.transforms.volume import EnsureScalarVolumed
from bundle.tat.visualize.saving import save_figure
from bundle.tat.visualize.slices import draw_case, draw_scan

# What a reader must know about the pairs that this project simulates.
SIMULATION_NOTES: Final = MappingProxyType(
    {
        Modality.CT: "input: simulated low dose",
        Modality.MRI: "input: simulated k-space truncation",
        Modality.PET: "simulated PET on real anatomy; input: simulated low count",
    }
)


def draw_restored(
    restored: str | Path,
    out: str | Path,
    *,
    datalist: str | Path | None = None,
    scan: str | Path | None = None,
    section: str = "testing",
    modality: str | None = None,
    note: str = "",
    measured: bool = False,
    mri_scale: MriScale = "fixed",
) -> list[Path]:
    """Draw the middle slice of every restored scan: input, restored, what was changed, and how far the clean one is.

    Args:
        restored: folder that the inference wrote to.
        out: folder for the pictures, one PNG for each scan.
        datalist: JSON datalist with clean images; paths in it are relative to it.
        scan: scans without a clean image: a file, a folder or a DICOM series. Either this or ``datalist``.
        section: section of the datalist.
        modality: of ``scan``, where its files do not tell: ``CT``, ``PET`` or ``MRI``.
        note: line below the title of the pictures of ``scan``.
        measured: nothing was simulated: leave the note about it out of the pictures of ``datalist``.
        mri_scale: of ``datalist``, as in an evaluation: MRI is drawn and scored on the scale of training.

    Returns:
        The pictures. None is written before all are drawn.

    Raises:
        RefusedInputError: a scan or its restoration is missing or cannot be drawn, or not one of ``datalist`` and
            ``scan`` is given.
    """
    if scan is not None and datalist is None:
        scans = read_scans(Path(scan), modality, Path(restored))
        figures = {one.name: draw_scan(one, note=note) for one in scans}
    elif datalist is not None and scan is None:
        cases = read_cases(Path(datalist), section, Path(restored), mri_scale=mri_scale)
        notes = {} if measured else SIMULATION_NOTES
        figures = {case.name: draw_case(case, note=notes.get(case.modality, "")) for case in cases}
    else:
        raise RefusedInputError(
            f"datalist is {datalist} and scan is {scan}: pass one of them, a datalist where there are clean images"
        )
    pictures = {Path(out) / f"{name}.png": figure for name, figure in figures.items()}
    for path, figure in pictures.items():
        save_figure(figure, path)
    return list(pictures)


def read_scans(path: Path, modality: str | None, restored: Path) -> Iterator[Scan]:
    """Read scans that have no clean image, as the inference does, and what it made of them.

    Args:
        path: a file, a folder or a DICOM series.
        modality: where the files do not tell.
        restored: folder that the inference wrote to.

    Yields:
        The scans, in the order that the inference restores them in.

    Raises:
        RefusedInputError: a scan cannot be read, is not restored as NIfTI, or lies on another grid than the result.
    """
    keys = ("image", "restored")
    for item in find_scans(path).items:
        name = item["case"]
        result = restored / name / f"{name}_restored.nii.gz"
        if not result.exists():
            raise RefusedInputError(f"{result} does not exist: restore with --nifti True")
        loaded: dict[Hashable, Any] = dict([*item.items(), ("restored", str(result))])
        for transform in (LoadScand(keys), ResolveModalityd("image", modality), EnsureScalarVolumed(keys)):
            loaded = dict(transform(loaded))  # not composed: that would turn refusals into other errors
        (image, affine), (changed, changed_affine) = (
            (loaded[key][0].numpy(), loaded[key].affine.numpy()) for key in keys
        )
        if not is_one_grid(image, affine, changed, changed_affine):
            raise RefusedInputError(f"{result} is not on the grid of {item['image']}: restore it anew")
        yield Scan(name=name, modality=Modality(loaded["modality"]), image=image, restored=changed, affine=affine)
