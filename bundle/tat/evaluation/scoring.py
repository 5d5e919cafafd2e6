"""The scorer: slices in the paper's protocol, a volume as one image, and the best parameter of each plain filter.

Everything that scores comes here: restored files, the evaluation of a network, and the validation while training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bundle.tat.evaluation.baseline_filters import Filter
from bundle.tat.evaluation.cases import Case
from bundle.tat.metrics.checks import checked_pair
from bundle.tat.metrics.restoration import VolumeScores, evaluate_slices, mean_scores, psnr, rmse
from bundle.tat.modality import EVALUATION_WINDOWS, Modality, parse_modality
from bundle.tat.refusal import RefusedInputError

# What the scores mean. Numbers of different protocols are not comparable: a change of either needs a new version here.
SLICE_PROTOCOL: Final = "tat-2d-v1"
SLICE_DATA_RANGE: Final = "max - min of each label slice within the evaluation window"
VOLUME_PROTOCOL: Final = "tat-3d-v1"
VOLUME_DATA_RANGE: Final = "max - min of the label volume within the evaluation window; SSIM as in tat-2d-v1"

SCORES: Final = ("psnr", "ssim", "rmse")

INPUT: Final = "input"
RESTORED: Final = "restored"

# What a filter's best parameter is chosen for.
FilterChoice = Literal["modality", "case"]


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """How one method did on one case.

    Args:
        modality: what was scanned.
        case: name of the case.
        subject: who was scanned; ``None`` where the datalist does not say.
        method: ``input`` (nothing done), ``restored``, or the name of a plain filter.
        parameter: of the filter; ``None`` for the other methods.
        slices: scores of each slice that can be scored, by its index; empty where none can.
        means: their means; NaN where there is none.
        volume: scores of the whole volume; NaN where no slice can be scored.
    """

    modality: Modality
    case: str
    subject: str | None
    method: str
    parameter: float | None
    slices: Mapping[int, Mapping[str, float]]
    means: VolumeScores
    volume: VolumeScores


def score_slices(pred: Tensor, label: Tensor, modality: Modality | str) -> dict[int, dict[str, float]]:
    """Score each slice of a restored volume in the paper's protocol; where no slice can be scored, there is no score.

    Args:
        pred: restored volume, in the modality's unit.
        label: clean volume, likewise.
        modality: a modality, or a word that :func:`bundle.tat.modality.parse_modality` knows.

    Shape:
        pred and label ``(H, W, D)``; a single image ``(H, W)`` is a volume of one slice.

    Returns:
        ``psnr`` [dB], ``ssim`` and ``rmse`` (in the modality's unit) by the slice's index.

    Raises:
        RefusedInputError: shapes differ, or a value is not finite.
    """
    if label.ndim == 2:
        pred, label = pred.unsqueeze(-1), label.unsqueeze(-1)
    pred, label = checked_pair(pred, label, n_axes=3)
    return evaluate_slices(pred, label, modality) if has_contrast(label, modality) else {}


def has_contrast(label: Tensor, modality: Modality | str) -> bool:
    """Whether a label can be scored: whether any of its slices varies within the evaluation window.

    Args:
        label: clean volume ``(H, W, D)`` or slice ``(H, W)``, in the modality's unit.
        modality: a modality, or a word that :func:`bundle.tat.modality.parse_modality` knows.

    Returns:
        ``False`` where every slice is constant: a range of 0 leaves PSNR and SSIM without a meaning.
    """
    window = EVALUATION_WINDOWS[parse_modality(modality)]
    within = label.clamp(window.low, window.high)
    return bool((within.amax(dim=(0, 1)) > within.amin(dim=(0, 1))).any())


def score_case(case: Case, filters: Sequence[Filter] = (), *, device: str | torch.device = "cpu") -> list[MethodResult]:
    """Score the input, the restoration, and each plain filter with every parameter.

    A case none of whose slices can be scored gets empty results for the first two, so that it can be counted; filters
    are not tried on it.

    Args:
        case: the volumes, in the modality's unit.
        filters: those that are not meant for the modality are left out.
        device: where the scores are computed; the filters run on the CPU.

    Returns:
        One result for each method and parameter, ``input`` first, then ``restored``.

    Raises:
        RefusedInputError: shapes differ, or a value is not finite; the case is named.
    """
    label = torch.from_numpy(case.label).to(device)
    candidates = _candidates(case, filters if has_contrast(label, case.modality) else ())
    try:
        return [
            _score(case, torch.from_numpy(volume).to(device), label, method=method, parameter=parameter)
            for method, parameter, volume in candidates
        ]
    except RefusedInputError as error:
        raise RefusedInputError(f"{case.name}: {error}") from error


def keep_best(results: Iterable[MethodResult], choice: FilterChoice = "modality") -> list[MethodResult]:
    """Keep of each filter the results of the parameter that scores best on these very data.

    The choice looks at the clean images, which nobody has in use: an oracle, and so an upper bound of what the filter
    can reach.

    Args:
        results: of all cases.
        choice: what one parameter is chosen for: all cases of a modality together, or each case by itself. Cases of
            unequal noise need the latter: a width for all of them may be worse than none for each.

    Returns:
        The results of the parameter with the highest PSNR, averaged over all slices that it is chosen for; of equal
        ones the first. What has no parameter is kept, and so is the order.
    """

    def chosen_for(result: MethodResult) -> tuple[Modality, str, str]:
        return result.modality, result.method, result.case if choice == "case" else ""

    results = list(results)
    scores: dict[tuple[Modality, str, str], dict[float | None, list[float]]] = {}
    for result in results:
        by_parameter = scores.setdefault(chosen_for(result), {})
        by_parameter.setdefault(result.parameter, []).extend(score["psnr"] for score in result.slices.values())
    # Every parameter was tried on the same slices, so that the sums are in the order of the means. They are exact, for
    # the order of the cases not to matter.
    best = {key: max(choices, key=lambda choice: math.fsum(choices[choice])) for key, choices in scores.items()}
    return [result for result in results if result.parameter == best[chosen_for(result)]]


def find_unscored(results: Iterable[MethodResult]) -> list[MethodResult]:
    """Find the cases none of whose slices can be scored, for them to be counted and named.

    Args:
        results: of all cases.

    Returns:
        The empty result of each such case's ``input``, in the order of the results.

    Raises:
        RefusedInputError: there is no other case.
    """
    inputs = [result for result in results if result.method == INPUT]
    unscored = [result for result in inputs if not result.slices]
    if len(unscored) == len(inputs):
        raise RefusedInputError(
            f"every slice of all {len(inputs)} cases has a constant label within its evaluation window: "
            "nothing can be scored, check units and modalities"
        )
    return unscored


def mean_over_slices(results: Iterable[MethodResult], score: str) -> float:
    """Average a score over all slices of all cases, as the paper does.

    Args:
        results: of one method and modality, with one slice or more.
        score: ``psnr``, ``ssim`` or ``rmse``.

    Returns:
        The mean, in the unit of the score.
    """
    return float(np.mean([slice_[score] for result in results for slice_ in result.slices.values()]))


def evaluate_whole(pred: Tensor, label: Tensor, modality: Modality | str) -> dict[str, float]:
    """Score a volume as one image.

    Both volumes are clipped to the modality's evaluation window; the data range is the whole label's largest minus its
    smallest intensity after that, and the error is over all voxels, those of constant slices included. There is no SSIM
    of a volume here: the slice mean stands in for it.

    Args:
        pred: restored volume, in the modality's unit.
        label: clean volume, likewise.
        modality: a modality, or a word that :func:`bundle.tat.modality.parse_modality` knows.

    Shape:
        pred and label three-dimensional.

    Returns:
        ``psnr`` [dB], and ``rmse`` in the modality's unit.

    Raises:
        RefusedInputError: shapes differ or are not 3-D, a value is not finite, or the label is constant.
    """
    window = EVALUATION_WINDOWS[parse_modality(modality)]
    pred, label = (
        volume.clamp(window.low, window.high).flatten(1)[None, None] for volume in checked_pair(pred, label, n_axes=3)
    )
    data_range = float(label.max() - label.min())
    return {"psnr": psnr(pred, label, data_range).item(), "rmse": rmse(pred, label).item()}


def _candidates(case: Case, filters: Sequence[Filter]) -> Iterator[tuple[str, float | None, NDArray[np.float32]]]:
    yield INPUT, None, case.image
    yield RESTORED, None, case.restored
    for filter_ in filters:
        if case.modality in filter_.modalities:
            for parameter in filter_.parameters:
                yield filter_.name, parameter, filter_.apply(case.image, parameter, case.modality)


def _score(case: Case, pred: Tensor, label: Tensor, *, method: str, parameter: float | None) -> MethodResult:
    who: dict[str, Any] = {"modality": case.modality, "case": case.name, "subject": case.subject}
    slices = score_slices(pred, label, case.modality)
    if not slices:
        empty = VolumeScores(math.nan, math.nan, math.nan, n_slices=0, n_constant=label.shape[-1])
        return MethodResult(**who, method=method, parameter=parameter, slices={}, means=empty, volume=empty)
    means = mean_scores(slices, n_constant=label.shape[-1] - len(slices))
    whole = evaluate_whole(pred, label, case.modality)
    volume = VolumeScores(**whole, ssim=means.ssim, n_slices=means.n_slices, n_constant=means.n_constant)
    return MethodResult(**who, method=method, parameter=parameter, slices=slices, means=means, volume=volume)
