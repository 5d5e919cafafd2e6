"""The verdict on a restored scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from bundle.tat.modality import INTENSITY_RANGES
from bundle.tat.quality.calibration import Calibration, ModalityCalibration
from bundle.tat.quality.features import case_features
from bundle.tat.quality.measures import CaseMeasures

Verdict = Literal["as trained", "look closely", "do not use", "not calibrated"]
AS_TRAINED: Final[Verdict] = "as trained"
LOOK_CLOSELY: Final[Verdict] = "look closely"
DO_NOT_USE: Final[Verdict] = "do not use"
NOT_CALIBRATED: Final[Verdict] = "not calibrated"

# A feature is reported when it lies further outside the range of the calibration than this share of that range.
RANGE_MARGIN: Final = 0.1
# A change below this share of the noise counts as no restoration.
LEAST_REMOVED: Final = 0.1

_IN_WORDS: Final = {
    "edge_ratio": "the ratio of the change at edges to that in flat tissue",
    "body_ratio": "the ratio of the change in the body to that in flat tissue",
    "removed_share": "the share of the noise that was removed",
    "noise": "the noise of the input",
    "autocorrelation": "the correlation of the change between neighbouring pixels",
    "blur": "the blur of edges",
    "mean_frequency": "the mean frequency of the change",
    "kspace_change": "the change of the measured k-space",
}


@dataclass(frozen=True)
class Judgement:
    """The verdict on a scan, with its reasons.

    Args:
        verdict: two or three words.
        reasons: for the verdict, one sentence each, without capital letter and full stop.
        harm: share of benchmark cases with similar measures whose restoration was worse than the input; ``None``
            where no calibration fits.
        edges: the same share at strong edges.
    """

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    harm: float | None = None
    edges: float | None = None


def judge(measures: CaseMeasures, calibration: Calibration) -> Judgement:
    """Judge a scan by its measures.

    Args:
        measures: of the scan.
        calibration: of the weights that restored it.

    Returns:
        The verdict: ``not calibrated`` where no calibration fits the weights and the modality.
    """
    known = calibration.modalities.get(measures.modality)
    if known is None:
        reason = "there is no calibration for these weights: make one with make calibrate"
        if calibration.modalities:
            reason = f"the verdict of these weights was not calibrated for {measures.modality.value}"
        return Judgement(NOT_CALIBRATED, (reason,))
    if not measures.slices:
        return Judgement(LOOK_CLOSELY, ("no slice shows enough tissue for a measurement",))
    features = case_features(measures)
    harm, edges = known.harm.chance(features), known.edges.chance(features)
    if harm >= known.do_not_use:
        return Judgement(DO_NOT_USE, (_came_out(harm, "worse than their input", known.do_not_use),), harm, edges)
    reasons = [
        *_by_chance(harm, edges, known),
        *_beyond(features, known),
        *_of_representation(measures, known),
        *_unchanged(measures),
    ]
    return Judgement(LOOK_CLOSELY if reasons else AS_TRAINED, tuple(reasons), harm, edges)


def chance_in_words(chance: float) -> str:
    """A chance as a percentage without decimals, but never as 0 or 100 %."""
    if chance < 0.01:
        return "less than 1 %"
    return "more than 99 %" if chance > 0.99 else f"{100 * chance:.0f} %"


def _came_out(chance: float, how: str, limit: float) -> str:
    return (
        f"of benchmark scans with similar measures, {chance_in_words(chance)} came out {how} "
        f"(the limit of this verdict is {chance_in_words(limit)})"
    )


def _by_chance(harm: float, edges: float, known: ModalityCalibration) -> list[str]:
    reasons = []
    if harm >= known.look_closely:
        reasons.append(_came_out(harm, "worse than their input", known.look_closely))
    if edges >= known.look_at_edges:
        reasons.append(_came_out(edges, "worse at strong edges", known.look_at_edges))
    return reasons


def _beyond(features: dict[str, float | None], known: ModalityCalibration) -> list[str]:
    """Features outside the range of the calibration, one reason each."""
    reasons = []
    for name, (low, high) in known.ranges.items():
        value, margin = features.get(name), RANGE_MARGIN * (high - low)
        if value is not None and not low - margin <= value <= high + margin:
            where = "above" if value > high else "below"
            reasons.append(f"{_IN_WORDS[name]} is {where} that of all calibration scans")
    return reasons


def _of_representation(measures: CaseMeasures, known: ModalityCalibration) -> list[str]:
    distance, trained = measures.representation, known.representation
    if distance is None or trained is None or distance <= trained.limit:
        return []
    return [
        f"for the network, this scan differs from those of training (distance {distance:.1f}; 99 % of validation "
        f"slices lie below {trained.limit:.1f})"
    ]


def _unchanged(measures: CaseMeasures) -> list[str]:
    """A reason where the network left a noisy scan unchanged, judged in all of the body: MRI changes at edges."""
    removed, change = measures.median("removed_share"), measures.median("change_body")
    noise = measures.median("noise_before")
    if removed is None or change is None or noise is None or change >= LEAST_REMOVED * noise:
        return []
    unit = INTENSITY_RANGES[measures.modality].unit
    return [
        f"almost nothing was restored: the change is {change:.2g} {unit}, less than {100 * LEAST_REMOVED:.0f} % of "
        f"the noise of the input ({noise:.2g} {unit})"
    ]
