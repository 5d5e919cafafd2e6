"""Each measure in words: its value with its unit, and plain sentences about its meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.quality.calibration import Grade, ModalityCalibration
from bundle.tat.quality.error_interval import ErrorInterval
from bundle.tat.quality.measures import CaseMeasures
from bundle.tat.quality.verdict import Judgement, chance_in_words

VERDICTS: Final = {
    "as trained": "No measure indicates a problem. This does not prove that the scan is right.",
    "look closely": "Compare with the input before you rely on the restored scan. The reasons are listed.",
    "do not use": "Too many benchmark scans with similar measures came out worse than their input. Use the input.",
    "not calibrated": "There is no verdict: it was never tested for these weights and this kind of scan.",
}


class Line(NamedTuple):
    """One measure.

    Args:
        name: of the measure.
        value: with its unit.
        meaning: what the value says, in plain sentences.
    """

    name: str
    value: str
    meaning: str


def chances(judgement: Judgement) -> list[Line]:
    """The chances of harm; none where no calibration fits."""
    if judgement.harm is None or judgement.edges is None:
        return []
    return [
        Line(
            "Chance of harm",
            chance_in_words(judgement.harm),
            "Share of benchmark scans with similar measures that are further from the clean scan than their input.",
        ),
        Line(
            "Chance of harm at edges",
            chance_in_words(judgement.edges),
            "The same share, judged only at strong edges, such as vessel walls and organ borders.",
        ),
    ]


def measured_lines(
    measures: CaseMeasures, known: ModalityCalibration | None, error: ErrorInterval | None = None
) -> list[Line]:
    """All measures of a scan.

    Args:
        measures: of the scan.
        known: its calibration; ``None`` without one.
        error: interval of the error of a pixel, shown only where test cases confirm it; ``None`` without one.

    Returns:
        The lines, in the order of the page.
    """
    return [
        *_noise(measures),
        *_structure(measures),
        *_shifts(measures),
        *_uptake(measures),
        *_kspace(measures),
        *_network(measures, known),
        *_error(measures, error),
        *_geometry(measures),
    ]


def _error(measures: CaseMeasures, interval: ErrorInterval | None) -> Iterator[Line]:
    half = interval.half_width(measures) if interval is not None and interval.holds else None
    if interval is not None and half is not None:
        yield Line(
            "Error of a pixel",
            f"± {number(half, _unit(measures))}",
            f"{100 * interval.level:.0f} % of pixels are expected to lie this close to the clean scan, as in benchmark "
            "scans with similar measures.",
        )


def grade_sentences(grades: dict[str, Grade]) -> list[str]:
    """How well the verdict does on test scans, which were not used to choose thresholds."""
    said = {
        "look closely": (
            "that came out worse, overall or at edges, got “look closely” or “do not use”",
            "test scans that came out better got neither",
        ),
        "do not use": ("that came out worse got “do not use”", "other test scans did not get it"),
    }
    return [
        f"{grade.n_flagged} of {grade.n_harmful} test scans {said[name][0]} ({_interval(grade.sensitivity)}). "
        f"{grade.n_passed} of {grade.n_harmless} {said[name][1]} ({_interval(grade.specificity)})."
        for name, grade in grades.items()
        if name in said
    ]


def number(value: float, unit: str = "") -> str:
    """A number with two or three significant digits, and its unit."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or size == 0 else 4
    return f"{value:.{digits}f} {unit}".rstrip()


def _interval(interval: tuple[float, float]) -> str:
    return f"95 % interval {100 * interval[0]:.0f} to {100 * interval[1]:.0f} %"


def _unit(measures: CaseMeasures) -> str:
    return INTENSITY_RANGES[measures.modality].unit


def _noise(measures: CaseMeasures) -> Iterator[Line]:
    before, after = measures.median("noise_before"), measures.median("noise_after")
    change = measures.median("change_flat")
    if before is None or after is None or change is None:
        return
    unit = _unit(measures)
    yield Line(
        "Noise",
        f"{number(before)} → {number(after, unit)}",
        "Standard deviation in flat tissue, before and after. It should fall, but not to 0.",
    )
    yield Line(
        "Change in flat tissue",
        number(change, unit),
        "Root mean square of restored minus input in tissue without edges. Near 0, almost nothing was restored.",
    )


def _structure(measures: CaseMeasures) -> Iterator[Line]:
    edges, ratio = measures.median("change_edges"), measures.median("edge_ratio")
    blur, beside = measures.median("blur"), measures.median("autocorrelation")
    frequency = measures.median("mean_frequency")
    if edges is None or ratio is None or blur is None or beside is None or frequency is None:
        return
    meaning = (
        "The network adds detail at edges, so a good result lies well above 1."
        if measures.modality is Modality.MRI
        else "Removing only noise gives about 1. Well above 1.4, more than noise was changed, and edges may be worse."
    )
    yield Line(
        "Change at strong edges",
        number(edges, _unit(measures)),
        "Root mean square of restored minus input at vessel walls, organ borders and other strong edges.",
    )
    yield Line("Change at edges over change in flat tissue", f"{number(ratio)} (ratio, no unit)", meaning)
    yield Line(
        "Blur of edges",
        f"{blur:+.2f} (from -1 to +1, no unit)",
        "Above 0, edges became blurred. Below 0, they became sharper. Removing only noise gives about 0.",
    )
    yield Line(
        "Correlation of neighbouring pixels",
        f"{beside:.2f} (from -1 to +1, no unit)",
        "How alike the change is in neighbouring pixels. Fine noise gives about 0, coarse noise up to 0.7.",
    )
    yield Line(
        "Mean frequency of the change",
        number(frequency / measures.pixel_sides[0], "cycles per mm"),
        "The higher, the finer the changed detail. The curve below shows the whole spectrum.",
    )


def _shifts(measures: CaseMeasures) -> Iterator[Line]:
    for tissue, shift in measures.tissue_shifts.items():
        yield Line(
            f"Shift of {tissue}",
            f"{shift:+.1f} HU",
            "Mean of restored minus input in this tissue. Near 0, its CT numbers were kept.",
        )


def _uptake(measures: CaseMeasures) -> Iterator[Line]:
    if measures.activity is not None:
        before, after = measures.activity
        yield Line(
            "Total activity",
            f"{number(before)} → {number(after, 'SUV ml')} ({_percent(before, after)})",
            "Sum of SUV times voxel volume over the scan. Restoration should keep it.",
        )
    for rank, place in enumerate(measures.places, 1):
        peak, most = place.suv_peak, place.suv_max
        yield Line(
            f"Hot spot {rank}",
            f"SUVpeak {number(peak[0])} → {number(peak[1])} ({_percent(*peak)}), "
            f"SUVmax {number(most[0])} → {number(most[1])} ({_percent(*most)})",
            "SUVmax falls when noise is removed. SUVpeak, the mean over 1 ml, should hardly change.",
        )


def _kspace(measures: CaseMeasures) -> Iterator[Line]:
    if measures.kspace_kept:
        known = " x ".join("unknown" if kept is None else f"{100 * kept:.0f} %" for kept in measures.kspace_kept)
        yield Line(
            "K-space of the input",
            known,
            "Share of k-space that the scanner measured along each axis of a slice. The network adds the rest.",
        )
    change = measures.median("kspace_change")
    if change is not None:
        yield Line(
            "Change of measured k-space",
            number(100 * change, "%"),
            "Difference between the restored scan and the measured part of k-space. Smaller is more faithful.",
        )


def _network(measures: CaseMeasures, known: ModalityCalibration | None) -> Iterator[Line]:
    if measures.representation is not None and known is not None and known.representation is not None:
        yield Line(
            "Distance from training",
            f"{number(measures.representation)} (limit {number(known.representation.limit)}, no unit)",
            "How unusual the scan is for the network. 99 % of validation slices lie below the limit.",
        )
    if measures.disagreement is not None:
        yield Line(
            "Disagreement with mirror images",
            number(measures.disagreement, _unit(measures)),
            "Standard deviation of the results of eight flips and rotations of a slice. Smaller is more certain.",
        )


def _geometry(measures: CaseMeasures) -> Iterator[Line]:
    yield Line(
        "Clipped for the network",
        number(100 * measures.share_outside, "%"),
        "Share of voxels outside the network's intensity range. What clipping removed was added to the result again.",
    )
    yield Line(
        "Pixel size",
        f"{measures.pixel_sides[0]:.2f} x {measures.pixel_sides[1]:.2f} mm",
        f"Sides of a pixel in a slice. {len(measures.slices)} of {measures.n_slices} slices were measured.",
    )


def _percent(before: float, after: float) -> str:
    return f"{100 * (after - before) / abs(before):+.1f} %" if before else "no percentage, since it was 0"
