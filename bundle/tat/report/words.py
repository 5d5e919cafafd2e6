"""Each measure in words: its value with its unit, and one plain sentence about what it means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.quality.calibration import Grade, ModalityCalibration
from bundle.tat.quality.error_interval import ErrorInterval
from bundle.tat.quality.measures import CaseMeasures
from bundle.tat.quality.verdict import Judgement, chance_in_words

VERDICTS: Final = {
    "as trained": "Nothing that was measured speaks against this scan. This is no proof that it is right.",
    "look closely": "Compare the restored scan with the input before you rely on it; the reasons are given.",
    "do not use": "Benchmark scans that measure like this one mostly came out worse. Use the input instead.",
    "not calibrated": "No verdict is given: it was never tested for these weights and this kind of scan.",
}


class Line(NamedTuple):
    """One measure.

    Args:
        name: what it is.
        value: with its unit.
        meaning: one sentence.
    """

    name: str
    value: str
    meaning: str


def chances(judgement: Judgement) -> list[Line]:
    """What the verdict says in numbers; nothing where no calibration fits."""
    if judgement.harm is None or judgement.edges is None:
        return []
    return [
        Line(
            "Chance of harm",
            chance_in_words(judgement.harm),
            "Of benchmark scans with measures like these, so many came out further from the truth than their input.",
        ),
        Line(
            "Chance of harm at edges",
            chance_in_words(judgement.edges),
            "The same, looking only at strong edges, such as vessel walls and organ borders.",
        ),
    ]


def measured_lines(
    measures: CaseMeasures, known: ModalityCalibration | None, error: ErrorInterval | None = None
) -> list[Line]:
    """All that was measured of a scan.

    Args:
        measures: of the scan.
        known: its calibration; ``None`` without.
        error: interval of the error of its pixels, told where the test cases bear it out; ``None`` without.

    Returns:
        The lines, in the order that they are shown in.
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
            f"{interval.level:.0%} of pixels are expected to lie this close to the truth, by benchmark scans that "
            "measure like this one.",
        )


def grade_sentences(grades: dict[str, Grade]) -> list[str]:
    """How well the verdict does on test scans that no threshold was chosen on."""
    said = {
        "look closely": ("scans that came out worse, over all or at edges, it flagged", "scans that gained, it passed"),
        "do not use": ("scans that came out worse, it said “do not use” of", "others, it did not say so of"),
    }
    return [
        f"Of {grade.n_harmful} test {said[name][0]} {grade.n_flagged} ({_interval(grade.sensitivity)}). "
        f"Of {grade.n_harmless} {said[name][1]} {grade.n_passed} ({_interval(grade.specificity)})."
        for name, grade in grades.items()
        if name in said
    ]


def number(value: float, unit: str = "") -> str:
    """A number with three digits that count, and its unit."""
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
        "Standard deviation in flat tissue, before and after. It should fall, and not to nothing.",
    )
    yield Line(
        "Change in flat tissue",
        number(change, unit),
        "Root mean square of restored minus input, where tissue is even. Close to 0 means that nothing was restored.",
    )


def _structure(measures: CaseMeasures) -> Iterator[Line]:
    edges, ratio = measures.median("change_edges"), measures.median("edge_ratio")
    blur, beside = measures.median("blur"), measures.median("autocorrelation")
    frequency = measures.median("mean_frequency")
    if edges is None or ratio is None or blur is None or beside is None or frequency is None:
        return
    meaning = (
        "The network is meant to add detail at edges, so that this lies well above 1 in a good result."
        if measures.modality is Modality.MRI
        else "Noise does not know where edges are. Well above 1.4, edges were changed by more than their noise."
    )
    yield Line("Change at strong edges", number(edges, _unit(measures)), "Root mean square of restored minus input.")
    yield Line("Edges compared with flat tissue", f"{number(ratio)} times", meaning)
    yield Line(
        "Blur of edges",
        f"{blur:+.2f} (from -1 to +1)",
        "Above 0, edges became less steep, that is blurred; below 0, steeper. Noise alone gives about 0.",
    )
    yield Line(
        "Likeness of neighbours",
        f"{beside:.2f} (from 0 to 1)",
        "Correlation of the change between neighbouring pixels. Fine noise gives about 0, coarse noise up to 0.7.",
    )
    yield Line(
        "Fineness of the change",
        number(frequency / measures.pixel_sides[0], "cycles per mm"),
        "Mean frequency of what was changed. The curve below compares it with benchmark scans that gained.",
    )


def _shifts(measures: CaseMeasures) -> Iterator[Line]:
    for tissue, shift in measures.tissue_shifts.items():
        yield Line(
            f"Shift of {tissue}",
            f"{shift:+.1f} HU",
            "Mean of restored minus input in this tissue. Densities are kept where it is near 0.",
        )


def _uptake(measures: CaseMeasures) -> Iterator[Line]:
    if measures.activity is not None:
        before, after = measures.activity
        yield Line(
            "Total activity",
            f"{number(before)} → {number(after, 'SUV ml')} ({_percent(before, after)})",
            "Sum over the scan. Restoration should keep it.",
        )
    for rank, place in enumerate(measures.places, 1):
        peak, most = place.suv_peak, place.suv_max
        yield Line(
            f"Hot place {rank}",
            f"SUVpeak {number(peak[0])} → {number(peak[1])} ({_percent(*peak)}), "
            f"SUVmax {number(most[0])} → {number(most[1])} ({_percent(*most)})",
            "One of the hottest places. SUVmax falls when noise goes; SUVpeak, the mean of 1 ml, should hardly change.",
        )


def _kspace(measures: CaseMeasures) -> Iterator[Line]:
    if measures.kspace_kept:
        known = " x ".join("unknown" if kept is None else f"{100 * kept:.0f} %" for kept in measures.kspace_kept)
        yield Line("K-space of the input", known, "How much of each axis the scanner had measured; the rest is added.")
    change = measures.median("kspace_change")
    if change is not None:
        yield Line(
            "Change of what was measured",
            number(100 * change, "%"),
            "How far the restored scan departs from the part of k-space that was measured. Smaller is more faithful.",
        )


def _network(measures: CaseMeasures, known: ModalityCalibration | None) -> Iterator[Line]:
    if measures.representation is not None and known is not None and known.representation is not None:
        yield Line(
            "Distance from training",
            f"{number(measures.representation)} (limit {number(known.representation.limit)}, no unit)",
            "How unusual the scan looks to the network. 99 % of validation slices lie below the limit.",
        )
    if measures.disagreement is not None:
        yield Line(
            "Disagreement with mirror images",
            number(measures.disagreement, _unit(measures)),
            "How much the result changes when the slice is flipped and turned first. Smaller is surer.",
        )


def _geometry(measures: CaseMeasures) -> Iterator[Line]:
    yield Line(
        "Clipped for the network",
        number(100 * measures.share_outside, "%"),
        "Share of voxels outside the network's range; the result got back what clipping took.",
    )
    yield Line(
        "Pixel",
        f"{measures.pixel_sides[0]:.2f} x {measures.pixel_sides[1]:.2f} mm",
        f"Sides of a pixel of a slice. {len(measures.slices)} of {measures.n_slices} slices were measured.",
    )


def _percent(before: float, after: float) -> str:
    return f"{100 * (after - before) / abs(before):+.1f} %" if before else "no change can be told"
