"""Drawing restored files: the middle slice of each, beside its input (needs the extra ``report``)."""

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
from bundle.tat.transforms.scale.mri_scale import MriScale
from bundle.tat.transforms.volume import EnsureScalarVolumed
from bundle.tat.visualize.saving import save_figure
from bundle.tat.visualize.slices import draw_case, draw_scan

# Notes about the simulated pairs of this project.
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
    """Draw the middle slice of every restored scan: input, restored, change, and difference to the clean image.

    Args:
        restored: output folder of the inference.
        out: folder for the pictures, one PNG for each scan.
        datalist: JSON datalist with clean images; paths in it are relative to it.
        scan: scans without a clean image: a file, a folder or a DICOM series. Either this or ``datalist``.
        section: section of the datalist.
        modality: of ``scan``, where its files do not name it: ``CT``, ``PET`` or ``MRI``.
        note: line below the title of the pictures of ``scan``.
        measured: leave the note about simulation out of the pictures of ``datalist``, since nothing was simulated.
        mri_scale: of ``datalist``, as in an evaluation: MRI is drawn and scored on the scale of training.

    Returns:
        The pictures. None is written before all are drawn.

    Raises:
        RefusedInputError: a scan or its restoration is missing or cannot be drawn. Or neither or both of ``datalist``
            and ``scan`` are given.
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
            f"datalist is {datalist} and scan is {scan}: pass one of them, the datalist if there are clean images"
        )
    pictures = {Path(out) / f"{name}.png": figure for name, figure in figures.items()}
    for path, figure in pictures.items():
        save_figure(figure, path)
    return list(pictures)


def read_scans(path: Path, modality: str | None, restored: Path) -> Iterator[Scan]:
    """Read scans without a clean image, as the inference does, and their restorations.

    Args:
        path: a file, a folder or a DICOM series.
        modality: of the scans, where the files do not name it.
        restored: output folder of the inference.

    Yields:
        The scans, in the order of the inference.

    Raises:
        RefusedInputError: a scan cannot be read, is not restored as NIfTI, or is on another grid than the result.
    """
    keys = ("image", "restored")
    for item in find_scans(path).items:
        name = item["case"]
        result = restored / name / f"{name}_restored.nii.gz"
        if not result.exists():
            raise RefusedInputError(f"{result} does not exist: restore with --nifti True")
        loaded: dict[Hashable, Any] = dict([*item.items(), ("restored", str(result))])
        for transform in (
            LoadScand(keys, allow_uneven=True),
            ResolveModalityd("image", modality),
            EnsureScalarVolumed(keys),
        ):
            loaded = dict(transform(loaded))  # not composed: that would turn refusals into other errors
        (image, affine), (changed, changed_affine) = (
            (loaded[key][0].numpy(), loaded[key].affine.numpy()) for key in keys
        )
        if not is_one_grid(image, affine, changed, changed_affine):
            raise RefusedInputError(f"{result} is not on the grid of {item['image']}: restore it again")
        yield Scan(name=name, modality=Modality(loaded["modality"]), image=image, restored=changed, affine=affine)
