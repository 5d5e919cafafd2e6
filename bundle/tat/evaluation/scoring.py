"""The scorer: slices in the paper's protocol, a volume as one image, and the best parameter of each plain filter.

All scores are computed here: of restored files, of a network's evaluation, and of the validation during training.
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

# Whether a filter has one best parameter for a modality or for a case.
FilterChoice = Literal["modality", "case"]


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """The scores of one method on one case.

    Args:
        modality: of the scan.
        case: name of the case.
        subject: name of the person in the datalist; ``None`` where the datalist has none.
        method: ``input`` (unchanged), ``restored``, or the name of a plain filter.
        parameter: of the filter; ``None`` for the other methods.
        slices: scores of each slice that can be scored, by its index; empty where none can.
        means: means over these slices; NaN where there is none.
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
    """Score each slice of a restored volume in the paper's protocol; the result may be empty.

    Args:
        pred: restored volume, in the modality's unit.
        label: clean volume, in the modality's unit.
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
    """Whether a label can be scored, since at least one slice varies within the evaluation window.

    Args:
        label: clean volume ``(H, W, D)`` or slice ``(H, W)``, in the modality's unit.
        modality: a modality, or a word that :func:`bundle.tat.modality.parse_modality` knows.

    Returns:
        ``False`` where every slice is constant: PSNR and SSIM have no meaning for a range of 0.
    """
    window = EVALUATION_WINDOWS[parse_modality(modality)]
    within = label.clamp(window.low, window.high)
    return bool((within.amax(dim=(0, 1)) > within.amin(dim=(0, 1))).any())


def score_case(case: Case, filters: Sequence[Filter] = (), *, device: str | torch.device = "cpu") -> list[MethodResult]:
    """Score the input, the restoration, and each plain filter with every parameter.

    If no slice of a case can be scored, the results of input and restoration are empty, so that the case can be
    counted. Filters are not tried on it.

    Args:
        case: the volumes, in the modality's unit.
        filters: filters to try; those that are not meant for the modality are left out.
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
    """Keep the results of each filter's best parameter on these data.

    The choice uses the clean images, which are not known in clinical use. So it is an oracle: an upper bound for the
    filter.

    Args:
        results: of all cases.
        choice: whether one parameter is chosen for all cases of a modality together, or one for each case. Use ``case``
            where the noise of the cases differs much, since one width for all cases may then be worse than no filter.

    Returns:
        For each filter the results of the parameter with the highest PSNR, averaged over all slices that it is chosen
        for; the first of equal parameters. Results without a parameter are kept. The order stays the same.
    """

    def chosen_for(result: MethodResult) -> tuple[Modality, str, str]:
        return result.modality, result.method, result.case if choice == "case" else ""

    results = list(results)
    scores: dict[tuple[Modality, str, str], dict[float | None, list[float]]] = {}
    for result in results:
        by_parameter = scores.setdefault(chosen_for(result), {})
        by_parameter.setdefault(result.parameter, []).extend(score["psnr"] for score in result.slices.values())
    # Every parameter was tried on the same slices, so sums have the order of means. The sums are exact, so that the
    # order of the cases does not matter.
    best = {key: max(choices, key=lambda choice: math.fsum(choices[choice])) for key, choices in scores.items()}
    return [result for result in results if result.parameter == best[chosen_for(result)]]


def find_unscored(results: Iterable[MethodResult]) -> list[MethodResult]:
    """Find the cases without any slice that can be scored, to count and name them.

    Args:
        results: of all cases.

    Returns:
        The empty result of each such case's ``input``, in the order of the results.

    Raises:
        RefusedInputError: all cases are such cases.
    """
    inputs = [result for result in results if result.method == INPUT]
    unscored = [result for result in inputs if not result.slices]
    if len(unscored) == len(inputs):
        raise RefusedInputError(
            f"every slice of all {len(inputs)} cases has a constant label within its evaluation window: "
            "check units and modalities, since no slice can be scored"
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

    Both volumes are clipped to the modality's evaluation window. After that, the data range is the largest minus the
    smallest intensity of the whole label. The error is over all voxels, with those of constant slices. There is no
    volumetric SSIM here: the mean over slices is used instead.

    Args:
        pred: restored volume, in the modality's unit.
        label: clean volume, in the modality's unit.
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
