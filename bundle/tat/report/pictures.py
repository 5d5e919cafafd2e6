"""Pictures of a report: slices as images, curves as drawings that take the colours of the page."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from bundle.tat.metrics.noise import NYQUIST, bin_centres
from bundle.tat.modality import EVALUATION_WINDOWS, INTENSITY_RANGES, Modality
from bundle.tat.quality.calibration import ModalityCalibration
from bundle.tat.quality.measures import CaseMeasures
from bundle.tat.quality.record import ShownSlice
from bundle.tat.visualize.slices import BAR_LENGTHS, BAR_PART, PET_DISPLAY_RANGE, UprightSlice, upright_slice

# A lossy format keeps the pictures of 20 cases below 10 MB; the restored files show fine detail.
_FORMAT: Final = "webp"
_QUALITY: Final = 80
# Longest side of a picture [pixels]; larger slices are averaged down.
MAX_SIDE: Final = 512
# CT: the lung window, used where at least this share of the body is less dense than this [HU].
LUNG_WINDOW: Final = (-1350.0, 150.0)
LUNG_BELOW: Final = -500.0
LUNG_SHARE: Final = 0.3
BODY_ABOVE: Final = -950.0
# Smallest end of the scale of changes by modality: smaller changes do not matter. For others, a share of the range.
_LEAST_CHANGE: Final = {Modality.CT: 10.0, Modality.PET: 0.2, Modality.MRI: 20.0}
_LEAST_SHARE: Final = 0.005
_PERCENTILE: Final = 99.5
# Colours of the drawing, and the colours of the page that replace them.
_COLOURS: Final = {"#010203": "currentColor", "#010204": "var(--before)", "#010205": "var(--after)"}
_INK, _BEFORE, _AFTER = _COLOURS


@dataclass(frozen=True)
class SlicePictures:
    """Pictures of a slice: before, after, and the change.

    Args:
        index: of the slice, from 0.
        image: data URI of the picture before.
        restored: data URI of the picture after.
        change: data URI of restored minus input, red where it rose and blue where it fell.
        disagreement: data URI of the deviation of flips and rotations; empty unless the report is thorough.
        window: intensities of black and of white, in the modality's unit.
        change_end: end of the scale of changes, in both directions, in the modality's unit.
        disagreement_end: end of the scale of the disagreement, in the modality's unit.
        width: of a picture [pixels].
        height: of a picture [pixels].
        aspect: width over height of the slice, each in millimetres.
        bar: length of the scale bar [mm].
        bar_percent: length of the scale bar as a share of the picture's width [%].
        top: side of the patient at the upper edge, as a letter.
        left: side of the patient at the left edge, as a letter.
    """

    index: int
    image: str
    restored: str
    change: str
    disagreement: str
    window: tuple[float, float]
    change_end: float
    disagreement_end: float
    width: int
    height: int
    aspect: float
    bar: float
    bar_percent: float
    top: str
    left: str


def draw_slice(shown: ShownSlice, affine: NDArray[np.float64], modality: Modality) -> SlicePictures:
    """Draw a slice in radiological orientation.

    Args:
        shown: slice before and after.
        affine: see ``ShownSlices``.
        modality: what was scanned.

    Returns:
        The pictures.
    """
    before, after = (_hung(values, affine) for values in (shown.image, shown.restored))
    change = after.pixels - before.pixels
    window = _window(before.pixels, modality)
    least = _LEAST_CHANGE.get(modality, _LEAST_SHARE * INTENSITY_RANGES[modality].width)
    end = _nice_end(change, least)
    spread = None if shown.disagreement is None else _hung(shown.disagreement, affine).pixels
    spread_end = 0.0 if spread is None else _nice_end(spread, least / 10)
    grey = "gray_r" if modality is Modality.PET else "gray"
    height, width = before.pixels.shape
    width_mm, height_mm = width * before.column_spacing, height * before.row_spacing
    bar = next((length for length in BAR_LENGTHS if length <= BAR_PART * width_mm), BAR_LENGTHS[-1])
    return SlicePictures(
        index=shown.index,
        image=_picture(before.pixels, grey, window),
        restored=_picture(after.pixels, grey, window),
        change=_picture(change, "RdBu_r", (-end, end)),
        disagreement="" if spread is None else _picture(spread, "viridis", (0.0, spread_end)),
        window=window,
        change_end=end,
        disagreement_end=spread_end,
        width=width,
        height=height,
        aspect=width_mm / height_mm,
        bar=bar,
        bar_percent=100.0 * bar / width_mm,
        top=before.top,
        left=before.left,
    )


def colour_stops(name: str, n: int = 11) -> str:
    """A colour map as the stops of a CSS gradient, from its low to its high end."""
    return ", ".join(
        "rgb({:.0f} {:.0f} {:.0f})".format(*(255 * channel for channel in colormaps[name](place)[:3]))
        for place in np.linspace(0.0, 1.0, n)
    )


def draw_spectrum(measures: CaseMeasures, known: ModalityCalibration | None) -> str:
    """Draw the spectrum of the change, and the band of the benchmark cases that came out better.

    Args:
        measures: of a case with measured slices.
        known: its calibration; ``None`` draws no band.

    Returns:
        An SVG element.
    """
    side = measures.pixel_sides[0]
    spectrum = np.mean([one.spectrum for one in measures.slices], axis=0)
    figure, axes = _axes("frequency [cycles per mm]", "share of the change's power [%]")
    if known is not None:
        low, high = (100.0 * np.asarray(edge) for edge in known.band)
        axes.fill_between(bin_centres() / side, low, high, color=_BEFORE, alpha=0.25, linewidth=0, label="benchmark")
    axes.plot(bin_centres() / side, 100.0 * spectrum, color=_AFTER, linewidth=2, label="this scan")
    axes.set_xlim(0, NYQUIST / side)
    axes.set_ylim(bottom=0)
    axes.set_xticks(np.round(np.linspace(0, NYQUIST / side, 5), 2))
    return _svg(figure)


def draw_slices(measures: CaseMeasures) -> str:
    """Draw the noise of each measured slice, before and after.

    Args:
        measures: of a case with measured slices.

    Returns:
        An SVG element.
    """
    numbers = [one.index + 1 for one in measures.slices]
    unit = INTENSITY_RANGES[measures.modality].unit
    figure, axes = _axes("slice", f"noise in flat tissue [{unit}]")
    for name, colour, mark in (("noise_before", _BEFORE, "o"), ("noise_after", _AFTER, "s")):
        values = [getattr(one, name) for one in measures.slices]
        axes.plot(numbers, values, color=colour, marker=mark, markersize=4, linewidth=1.5)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", integer=True)
    return _svg(figure)


def _hung(values: NDArray[np.float32], affine: NDArray[np.float64]) -> UprightSlice:
    """A slice in radiological orientation, averaged down where it is larger than a picture."""
    step = -(-max(values.shape) // MAX_SIDE)
    if step > 1:
        n_down, n_right = (side // step for side in values.shape)
        cut = values[: n_down * step, : n_right * step]
        values = cut.reshape(n_down, step, n_right, step).mean(axis=(1, 3))
        affine = affine @ np.diag([step, step, 1, 1])
    return upright_slice(values[:, :, None], affine, 0)


def _window(pixels: NDArray[np.float32], modality: Modality) -> tuple[float, float]:
    if modality is Modality.PET:
        return PET_DISPLAY_RANGE
    if modality is Modality.MRI:
        return 0.0, max(float(np.percentile(pixels, _PERCENTILE)), 1.0)
    body = pixels > BODY_ABOVE
    if body.any() and float((pixels[body] < LUNG_BELOW).mean()) > LUNG_SHARE:
        return LUNG_WINDOW
    window = EVALUATION_WINDOWS[modality]
    return window.low, window.high


def _nice_end(values: NDArray[np.float32], least: float) -> float:
    """The end of a scale: 1, 2 or 5 times a power of ten, with few pixels beyond it."""
    wanted = max(float(np.percentile(np.abs(values), _PERCENTILE)), least)
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= wanted * 0.999))


def _picture(pixels: NDArray[np.float32], name: str, window: tuple[float, float]) -> str:
    low, high = window
    colours = colormaps[name](np.clip((pixels - low) / (high - low), 0.0, 1.0), bytes=True)[:, :, :3]
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(colours), format=_FORMAT, pil_kwargs={"quality": _QUALITY, "method": 2})
    return f"data:image/{_FORMAT};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _axes(across: str, upwards: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.2, 2.9), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(across)
    axes.set_ylabel(upwards)
    axes.spines[["top", "right"]].set_visible(False)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(_INK)
    for spine in axes.spines.values():
        spine.set_color(_INK)
    axes.tick_params(colors=_INK)
    return figure, axes


def _svg(figure: Figure) -> str:
    """An SVG element that takes its colours and its font from the page and refers to nothing outside."""
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tat", "font.size": 11}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(?:xmlns:xlink|version)="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1; font-family: inherit", text)
    for drawn, shown in _COLOURS.items():
        text = text.replace(drawn, shown)
    width, height = (f'{word}="{size}"' for word, size in re.findall(r'\b(width|height)="([\d.]+pt)"', text)[:2])
    return text.replace(width, "", 1).replace(height, 'aria-hidden="true" focusable="false"', 1)
