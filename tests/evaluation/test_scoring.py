"""Every slice by every method, the volume as one, and the choice of a filter's parameter."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bundle.tat.evaluation.baseline_filters import SIGMAS, find_filters, gaussian
from bundle.tat.evaluation.cases import Case
from bundle.tat.evaluation.scoring import (
    evaluate_whole,
    find_unscored,
    has_contrast,
    keep_best,
    mean_over_slices,
    score_case,
    score_slices,
)
from bundle.tat.metrics import evaluate_pair, evaluate_volume
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from tests.scans import blobs


def case(name: str = "a", modality: Modality = Modality.PET, *, seed: int = 0, noise: float = 1.5) -> Case:
    label = blobs((24, 21, 4), 0.0, 10.0, seed=seed)
    label[..., 1] = 3.0  # a slice that cannot be scored
    random = np.random.default_rng(seed).standard_normal(label.shape).astype(np.float32)
    return Case(
        name=name,
        modality=modality,
        image=label + noise * random,
        label=label,
        restored=label + 0.3 * random,
        affine=np.eye(4),
    )


def test_slices_are_scored_by_the_papers_protocol():
    one = case()
    results = {result.method: result for result in score_case(one)}
    assert list(results) == ["input", "restored"]
    for method, volume in (("input", one.image), ("restored", one.restored)):
        result = results[method]
        assert list(result.slices) == [0, 2, 3]
        for index, scores in result.slices.items():
            pair = (torch.from_numpy(array[..., index]) for array in (volume, one.label))
            assert scores == evaluate_pair(*pair, Modality.PET)
        assert result.means == evaluate_volume(torch.from_numpy(volume), torch.from_numpy(one.label), Modality.PET)
        assert (result.means.n_slices, result.means.n_constant) == (3, 1)
        assert result.volume.ssim == result.means.ssim


@pytest.mark.parametrize("slice_axis", [-1, 0])
def test_a_single_image_is_a_volume_of_one_slice(slice_axis):
    one = case()
    pred, label = (torch.from_numpy(array[..., 0]) for array in (one.restored, one.label))
    scores = evaluate_volume(pred, label, Modality.PET, slice_axis=slice_axis)
    assert {name: getattr(scores, name) for name in ("psnr", "ssim", "rmse")} == evaluate_pair(pred, label, "PET")
    assert (scores.n_slices, scores.n_constant) == (1, 0)
    with pytest.raises(RefusedInputError, match="differ in shape"):
        evaluate_volume(torch.from_numpy(one.restored), label, Modality.PET)


def test_a_volume_as_one():
    one = case(modality=Modality.CT)
    label, image = (array.astype(np.float64) * 40 - 200 for array in (one.label, one.image))
    scores = evaluate_whole(torch.from_numpy(image), torch.from_numpy(label), "CT")
    label, image = label.clip(-160, 240), image.clip(-160, 240)
    rmse = np.sqrt(np.mean((image - label) ** 2))
    assert scores["rmse"] == pytest.approx(rmse)
    assert scores["psnr"] == pytest.approx(20 * math.log10(np.ptp(label) / rmse))


def chosen_sigma(*cases: Case) -> float | None:
    """Sigma of the Gaussian that is kept for the modality of the first case."""
    results = keep_best(result for one in cases for result in score_case(one, find_filters(["gaussian"])))
    return next(result.parameter for result in results if result.method == "gaussian")


def test_a_case_may_have_a_sigma_of_its_own():
    """Of a noisy and a clean case, together and alone."""
    clean = case(name="clean")
    cases = [case(name="noisy"), replace(clean, image=clean.label)]
    scored = [result for one in cases for result in score_case(one, find_filters(["gaussian"]))]
    together = {result.case: result.parameter for result in keep_best(scored) if result.method == "gaussian"}
    alone = {result.case: result.parameter for result in keep_best(scored, "case") if result.method == "gaussian"}
    assert together["noisy"] == together["clean"]
    assert alone == {"noisy": chosen_sigma(cases[0]), "clean": 0.0}


def test_the_best_sigma_is_the_one_that_scores_best():
    one = case()

    def score(sigma: float) -> float:
        pred = torch.from_numpy(gaussian(one.image, sigma))
        return evaluate_volume(pred, torch.from_numpy(one.label), Modality.PET).psnr

    assert chosen_sigma(one) == max(SIGMAS, key=score)
    assert 0.0 < max(SIGMAS, key=score) < max(SIGMAS)


def test_where_no_filter_helps_none_is_applied():
    label = np.random.default_rng(0).random((20, 20, 2)).astype(np.float32)
    assert chosen_sigma(replace(case(), label=label, image=label.copy(), restored=label)) == 0.0


def test_every_slice_counts_the_same_and_constant_ones_not_at_all():
    one = case()
    air = np.zeros((*one.label.shape[:2], 40), dtype=np.float32)
    noise = 5.0 * np.random.default_rng(1).standard_normal(air.shape).astype(np.float32)
    volumes = {name: np.concatenate([getattr(one, name), air], axis=2) for name in ("label", "restored")}
    with_air = replace(one, image=np.concatenate([one.image, noise], axis=2), **volumes)
    assert chosen_sigma(with_air) == chosen_sigma(one) > 0.0
    nothing_else = replace(one, name="air", label=air, image=noise, restored=air)
    assert chosen_sigma(nothing_else, one) == chosen_sigma(one)


def test_cases_of_one_modality_share_one_sigma():
    cases = [case("a", seed=0), case("b", seed=1, noise=2.5), case("c", Modality.MRI, seed=2, noise=0.0)]
    results = keep_best(result for one in cases for result in score_case(one, find_filters(["gaussian"])))
    assert [(result.case, result.method) for result in results] == [
        (name, method) for name in "abc" for method in ("input", "restored", "gaussian")
    ]
    psnr = {
        sigma: [
            evaluate_pair(
                torch.from_numpy(gaussian(one.image, sigma)[..., index]), torch.from_numpy(one.label[..., index]), "PET"
            )["psnr"]
            for one in cases[:2]
            for index in (0, 2, 3)
        ]
        for sigma in SIGMAS
    }
    sigma = max(SIGMAS, key=lambda sigma: np.mean(psnr[sigma]))
    assert [result.parameter for result in results if result.method == "gaussian"] == [sigma, sigma, 0.0]
    expected = evaluate_volume(
        torch.from_numpy(gaussian(cases[1].image, sigma)), torch.from_numpy(cases[1].label), Modality.PET
    )
    assert results[5].means == expected
    assert results[3].means.psnr < results[5].means.psnr < results[4].means.psnr
    # The choice does not depend on the order of the cases.
    backwards = keep_best(result for one in cases[::-1] for result in score_case(one, find_filters(["gaussian"])))
    assert sorted(backwards, key=lambda result: result.case) == results


def test_a_mean_weighs_every_slice_the_same():
    cases = [case("a", seed=0), case("b", seed=1, noise=2.5)]
    short = replace(cases[1], **{name: getattr(cases[1], name)[..., :1] for name in ("image", "label", "restored")})
    inputs = [score_case(one)[0] for one in (cases[0], short)]
    assert [len(result.slices) for result in inputs] == [3, 1]
    for score in ("psnr", "ssim", "rmse"):
        of_cases = [getattr(result.means, score) for result in inputs]
        assert mean_over_slices(inputs, score) == pytest.approx((3 * of_cases[0] + of_cases[1]) / 4, rel=1e-12)


def test_filters_that_are_not_meant_for_a_modality_are_left_out():
    filters = find_filters(["bicubic"])
    methods = [
        {result.method for result in score_case(case(modality=m), filters)} for m in (Modality.PET, Modality.MRI)
    ]
    assert methods == [{"input", "restored"}, {"input", "restored", "bicubic"}]


def test_a_case_without_contrast_is_counted_and_not_scored():
    flat = np.broadcast_to(np.array([0.0, 3.0], dtype=np.float32), (24, 21, 2)).copy()
    empty = replace(case("flat"), label=flat, image=flat + 1, restored=flat, subject="someone")
    results = score_case(empty, find_filters(["gaussian"]))
    assert [(result.method, result.subject, result.slices) for result in results] == [
        ("input", "someone", {}),
        ("restored", "someone", {}),
    ]
    assert all((it.n_slices, it.n_constant) == (0, 2) for result in results for it in (result.means, result.volume))
    assert all(math.isnan(result.means.psnr) and math.isnan(result.volume.rmse) for result in results)
    assert score_slices(torch.from_numpy(flat + 1), torch.from_numpy(flat), Modality.PET) == {}
    with pytest.raises(RefusedInputError, match="every slice of all 1 cases has a constant label"):
        find_unscored(results)
    assert [result.case for result in find_unscored([*results, *score_case(case())])] == ["flat"]
    kept = keep_best([*results, *score_case(case(), find_filters(["gaussian"]))])
    assert [result.method for result in kept if result.case == "a"] == ["input", "restored", "gaussian"]


@pytest.mark.parametrize(("values", "answer"), [((-900.0, -500.0), False), ((-900.0, -100.0), True)])
def test_contrast_is_that_within_the_evaluation_window(values, answer):
    label = torch.full((4, 5, 3), values[0])
    label[2, 2, 1] = values[1]
    assert has_contrast(label, "CT") is answer
    assert has_contrast(label[..., 1], "CT") is answer
    assert not has_contrast(label[..., 0], "CT")


def test_a_refusal_names_the_case():
    one = case("patient7")
    spoiled = one.restored.copy()
    spoiled[0, 0, 0] = np.nan
    with pytest.raises(RefusedInputError, match=r"patient7: 1 of 2016 values of the prediction are NaN"):
        score_case(replace(one, restored=spoiled))
