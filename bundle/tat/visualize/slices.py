"""Pictures of restored slices in radiological orientation (needs the extra ``report``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import nibabel
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from bundle.tat.evaluation.cases import Case, Scan
from bundle.tat.metrics.restoration import evaluate_pair
from bundle.tat.modality import EVALUATION_WINDOWS, Modality

# SUV at the ends of the grey scale, which is inverted as usual in nuclear medicine.
PET_DISPLAY_RANGE: Final = (0.0, 8.0)

# Percentile of the clean image (or of the input) at which the grey scale of MRI ends, and of the input's error (or of
# the residual) at which the scale of differences ends. Only a few pixels lie above.
DISPLAY_PERCENTILE: Final = 99.5

# Lengths of scale bars [mm]. The longest one within this share of the width is drawn.
BAR_LENGTHS: Final = (50.0, 20.0, 10.0, 5.0, 2.0, 1.0)
BAR_PART: Final = 0.4


@dataclass(frozen=True)
class UprightSlice:
    """A slice in radiological orientation, with the size of its pixels.

    Args:
        pixels: intensities; rows run downwards, columns to the right.
        row_spacing: distance between rows [mm].
        column_spacing: distance between columns [mm].
        top: side of the patient at the upper edge, ``S`` (superior) or ``A`` (anterior).
        left: side of the patient at the viewer's left edge, ``R`` (right) or ``A``.
    """

    pixels: NDArray[np.float32]
    row_spacing: float
    column_spacing: float
    top: str
    left: str


def upright_slice(volume: NDArray[np.float32], affine: NDArray[np.float64], index: int) -> UprightSlice:
    """Turn a slice to radiological orientation.

    Superior is up (anterior, in an axial slice) and the patient's left is on the viewer's right (posterior, in a
    sagittal slice). An oblique slice is turned to the nearest of these; nothing is resampled.

    Args:
        volume: intensities ``(H, W, D)``, slices along the last axis.
        affine: voxel indices to right, anterior, superior [mm], ``(4, 4)``.
        index: of the slice, from 0.

    Returns:
        The slice, its axes swapped and flipped as needed.

    Source:
        PS3.3 C.7.6.1.1.1 (Patient Orientation) for the names of the directions.
    """
    orientation = nibabel.io_orientation(affine)[:2]
    # World axes are right, anterior, superior: the later of the two belongs on the vertical. On screen each axis runs
    # from its positive end (top, or viewer's left) to its negative end.
    axes = sorted((0, 1), key=lambda axis: -orientation[axis, 0])
    flipped = tuple(axis for axis in (0, 1) if orientation[axis, 1] > 0)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return UprightSlice(
        pixels=np.ascontiguousarray(np.flip(volume[:, :, index], flipped).transpose(axes)),
        row_spacing=float(spacing[axes[0]]),
        column_spacing=float(spacing[axes[1]]),
        top="RAS"[int(orientation[axes[0], 0])],
        left="RAS"[int(orientation[axes[1], 0])],
    )


def draw_case(case: Case, *, index: int | None = None, note: str = "") -> Figure:
    """Draw a slice of a case: input, restored, clean, change, and remaining error.

    Args:
        case: volumes ``(H, W, D)`` on one grid, in the modality's unit.
        index: of the slice, from 0; ``None`` for the middle slice.
        note: about the data, shown below the title.

    Returns:
        The figure, made without pyplot: it has no window and no global state.

    Raises:
        RefusedInputError: a value is not finite.
    """
    index = case.image.shape[2] // 2 if index is None else index
    image, restored, clean = (upright_slice(v, case.affine, index) for v in (case.image, case.restored, case.label))
    images = {
        f"input\n{_caption(image, clean, case.modality)}": image.pixels,
        f"restored\n{_caption(restored, clean, case.modality)}": restored.pixels,
        "clean": clean.pixels,
    }
    differences = {
        "residual\nrestored - input": restored.pixels - image.pixels,
        "error\nrestored - clean": restored.pixels - clean.pixels,
    }
    scales = _grey_range(clean.pixels, case.modality), _end_of_differences(image.pixels - clean.pixels)
    figure = _draw_panels(images, differences, scales=scales, view=image, modality=case.modality)
    _title(figure, case, index, note)
    return figure


def draw_scan(scan: Scan, *, note: str = "") -> Figure:
    """Draw the middle slice of a scan without a clean image: input, restored, and change.

    The picture does not show whether the change is right, since there is no clean image to compare with.

    Args:
        scan: volumes ``(H, W, D)`` on one grid, in the modality's unit.
        note: about the data, shown below the title.

    Returns:
        The figure, as of ``draw_case``.
    """
    index = scan.image.shape[2] // 2
    image, restored = (upright_slice(volume, scan.affine, index) for volume in (scan.image, scan.restored))
    images = {"input": image.pixels, "restored": restored.pixels}
    residual = {"residual\nrestored - input": restored.pixels - image.pixels}
    scales = _grey_range(image.pixels, scan.modality), _end_of_differences(restored.pixels - image.pixels)
    figure = _draw_panels(images, residual, scales=scales, view=image, modality=scan.modality)
    _title(figure, scan, index, note)
    return figure


def _draw_panels(
    images: Mapping[str, NDArray[np.float32]],
    differences: Mapping[str, NDArray[np.float32]],
    *,
    scales: tuple[tuple[float, float], float],
    view: UprightSlice,
    modality: Modality,
) -> Figure:
    """Draw images and differences in a row, all of them with the pixels of ``view``.

    ``scales`` are the two ends of the grey scale, and the end of the scale of differences in both directions.
    """
    is_pet = modality is Modality.PET
    (low, high), end = scales
    colours = [("gray_r" if is_pet else "gray", low, high)] * len(images) + [("RdBu_r", -end, end)] * len(differences)
    width, height = view.pixels.shape[1] * view.column_spacing, view.pixels.shape[0] * view.row_spacing
    figure = Figure(figsize=(3.0 * len(colours), 2.9 * height / width + 1.7), dpi=100, layout="constrained")
    axes = figure.subplots(1, len(colours))
    panels = {**images, **differences}
    for panel, (title, pixels), (name, first, last) in zip(axes, panels.items(), colours, strict=True):
        panel.imshow(pixels, cmap=name, vmin=first, vmax=last, extent=(0.0, width, height, 0.0))
        panel.set_title(title, fontsize=11)
        panel.set_axis_off()
    unit = EVALUATION_WINDOWS[modality].unit
    _add_colour_bar(figure, axes[: len(images)], f"intensity [{unit}]")
    _add_colour_bar(figure, axes[len(images) :], f"difference [{unit}]")
    _annotate(axes[0], view, ink=("black", "white") if is_pet else ("white", "black"))
    return figure


def _title(figure: Figure, scan: Scan, index: int, note: str) -> None:
    title = f"{scan.modality.value}  {scan.name}, slice {index + 1} of {scan.image.shape[2]}"
    figure.suptitle(f"{title}\n{note}" if note else title)


def _caption(view: UprightSlice, clean: UprightSlice, modality: Modality) -> str:
    scores = evaluate_pair(torch.from_numpy(view.pixels), torch.from_numpy(clean.pixels), modality)
    return f"{scores['psnr']:.2f} dB, SSIM {scores['ssim']:.3f}"


def _grey_range(pixels: NDArray[np.float32], modality: Modality) -> tuple[float, float]:
    """Intensities at the two ends of the grey scale, in the modality's unit."""
    if modality is Modality.PET:
        return PET_DISPLAY_RANGE
    if modality is Modality.MRI:
        return 0.0, max(float(np.percentile(pixels, DISPLAY_PERCENTILE)), 1.0)
    window = EVALUATION_WINDOWS[modality]
    return window.low, window.high


def _end_of_differences(difference: NDArray[np.float32]) -> float:
    """End of the scale of differences, in the modality's unit; it is above 0 for a perfect image, too."""
    return max(float(np.percentile(np.abs(difference), DISPLAY_PERCENTILE)), 1e-3)


def _add_colour_bar(figure: Figure, axes: Sequence[Axes], label: str) -> None:
    """Add one colour bar for all panels of a kind."""
    bar = figure.colorbar(axes[0].images[0], ax=axes, location="bottom", shrink=0.5, aspect=40, extend="both")
    bar.set_label(label)


def _annotate(axes: Axes, view: UprightSlice, *, ink: tuple[str, str]) -> None:
    """Write the sides of the patient and a scale bar in a colour with an outline; the axes are in millimetres."""
    height, width = view.pixels.shape[0] * view.row_spacing, view.pixels.shape[1] * view.column_spacing
    length = next((mm for mm in BAR_LENGTHS if mm <= BAR_PART * width), BAR_LENGTHS[-1])
    start, depth = 0.05 * width, 0.95 * height
    for colour, thickness in ((ink[1], 5.0), (ink[0], 3.0)):
        axes.plot([start, start + length], [depth, depth], color=colour, linewidth=thickness, solid_capstyle="butt")
    outline = [withStroke(linewidth=2.5, foreground=ink[1])]
    for x, y, text, horizontal, vertical in (
        (start + length / 2.0, 0.93 * height, f"{length / 10.0:g} cm", "center", "bottom"),
        (0.02 * width, height / 2.0, view.left, "left", "center"),
        (width / 2.0, 0.02 * height, view.top, "center", "top"),
    ):
        axes.text(x, y, text, color=ink[0], ha=horizontal, va=vertical, path_effects=outline)
