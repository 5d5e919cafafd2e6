"""Patches of known degradation, what a linear read-out tells of them, and the gradients that they give."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bundle.tat.diagnosis.degradations import (
    DEGRADATIONS,
    MIDDLE,
    CleanPatch,
    Degradation,
    draw_clean,
    group_by_degradation,
)
from bundle.tat.diagnosis.gradients import compare_degradations
from bundle.tat.diagnosis.readout import LEVEL_4, PIXELS, Features, Z, extract, predict_held_out, read_out
from bundle.tat.diagnosis.samples import read_configs
from bundle.tat.losses import PlainL1Loss
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.refusal import RefusedInputError
from tests.configs.conftest import CONFIGS
from tests.configs.test_train import TINY, pairs  # noqa: F401 - the fixture
from tests.diagnosis.test_diagnosis import make_network

SIDE = 32


def body(seed: int) -> np.ndarray:
    """A smooth patch in the middle of the scale."""
    x, y = np.meshgrid(*[np.linspace(0, 1, SIDE)] * 2, indexing="ij")
    tilt = np.random.default_rng(seed).uniform(-0.1, 0.1, 2)
    return (0.4 + tilt[0] * x + tilt[1] * y + 0.05 * np.sin(20 * x)).astype(np.float32)


def make_patches(n_persons: int = 3) -> list[CleanPatch]:
    return [
        CleanPatch(task, f"person{number}", body(number), 1000 * number)
        for task in ("CT", "MRI", "PET")
        for number in range(n_persons)
    ]


def test_every_task_has_qualities_and_one_strength_in_the_middle():
    for task in ("CT", "MRI", "PET"):
        qualities = [one.quality for one in DEGRADATIONS if one.task == task]
        assert len(set(qualities)) >= 3
        assert [one.quality for one in MIDDLE if one.task == task] == list(dict.fromkeys(qualities))


@pytest.mark.parametrize("degradation", [one for one in DEGRADATIONS if one.task == "CT"], ids=str)
def test_noise_of_ct_has_the_deviation_that_is_said(degradation):
    clean = np.full((64, 64), 0.4, dtype=np.float32)
    added = (degradation.apply(clean, seed=3) - clean) * INTENSITY_RANGES[Modality.CT].width
    assert added.std() == pytest.approx(degradation.strength, rel=0.01)


def test_a_part_of_kspace_leaves_the_more_the_larger_it_is():
    clean = body(0) + 0.1 * np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    errors = [np.abs(one.apply(clean, seed=0) - clean).mean() for one in DEGRADATIONS if one.task == "MRI"]
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == len(errors)


def test_each_patch_is_degraded_in_every_way_of_its_task_and_not_alike():
    groups = group_by_degradation(make_patches())
    assert {*groups} == {*DEGRADATIONS}
    for degradation, samples in groups.items():
        assert [patch.person for patch, _ in samples] == ["person0", "person1", "person2"]
        assert all(patch.task == degradation.task for patch, _ in samples)
        assert all(degraded.shape == (SIDE, SIDE) and degraded.dtype == np.float32 for _, degraded in samples)
    sharp = [groups[one][0][1] - body(0) for one in DEGRADATIONS if (one.task, one.quality) == ("CT", "sharp")]
    assert abs(np.corrcoef(sharp[0].ravel(), sharp[1].ravel())[0, 1]) < 0.2


def test_clean_patches_are_drawn_of_every_person_and_again_the_same(tmp_path, pairs):  # noqa: F811
    (tmp_path / "tiny.json").write_text(json.dumps({"network_def": TINY}))
    files = [CONFIGS / "train.json", tmp_path / "tiny.json"]
    configs = read_configs(files, datalist_file=str(tmp_path / "pairs" / "datalist.json"))
    drawn, again, other = (draw_clean(configs, 2, seed=seed) for seed in (0, 0, 1))
    side = configs.get_parsed_content("train#patch_size")
    assert {patch.task for patch in drawn} == {"CT", "MRI", "PET"}
    assert all(patch.pixels.shape == (side, side) for patch in drawn)
    assert all(0 <= patch.pixels.min() <= patch.pixels.max() <= 1 for patch in drawn)
    for one, same in zip(drawn, again, strict=True):
        assert (one.person, one.seed) == (same.person, same.seed)
        np.testing.assert_array_equal(one.pixels, same.pixels)
    assert any(not np.array_equal(one.pixels, that.pixels) for one, that in zip(drawn, other, strict=True))
    with pytest.raises(RefusedInputError, match="n_patches is 0"):
        draw_clean(configs, 0)


def features_of(vectors: np.ndarray, degradations: list[Degradation], persons: list[str]) -> Features:
    return Features({Z: vectors}, degradations, persons)


def test_what_features_hold_is_told_and_what_they_do_not_is_not():
    random = np.random.default_rng(0)
    kinds = [Degradation("CT", quality, level) for quality in ("soft", "sharp") for level in (8.0, 32.0)]
    degradations = [kind for kind in kinds for _ in range(40)]
    persons = [f"person{number % 4}" for number in range(len(degradations))]
    is_sharp = np.array([one.quality == "sharp" for one in degradations])
    noise = random.standard_normal((len(degradations), 5))
    blind = read_out(features_of(noise, degradations, persons))
    seeing = read_out(features_of(np.column_stack([noise, 10.0 * is_sharp]), degradations, persons))
    told = {row.what: row for row in seeing}
    assert told["quality"].score == 1.0
    assert (told["quality"].chance, told["quality"].n_persons, told["quality"].n) == (0.5, 4, 160)
    assert {row.what: row.score for row in blind}["quality"] < 0.7
    assert abs(told["strength"].score) < 0.2
    assert "task" not in told  # there is one alone


def test_strength_is_told_by_its_logarithm():
    degradations = [Degradation("PET", "width 1", level) for level in (0.1, 0.2, 0.4)] * 8
    persons = [f"person{number % 4}" for number in range(24)]
    vectors = np.log([[float(one.strength or 0)] for one in degradations])
    (row,) = read_out(features_of(vectors, degradations, persons))
    assert (row.what, row.lowest) == ("strength", None)
    assert row.score == pytest.approx(1.0, abs=1e-3)


def test_a_person_is_not_known_by_heart():
    """Each person has one class of its own: whoever is left out must be told wrong."""
    degradations = [Degradation("CT", name, 8.0) for name in ("sharp", "soft") for _ in range(10)]
    persons = [one.quality for one in degradations]
    random = np.random.default_rng(0)
    vectors = np.column_stack([[one.quality == "soft" for one in degradations], random.standard_normal((20, 2))])
    (row,) = (
        row for row in read_out(features_of(vectors.astype(float), degradations, persons)) if row.what == "quality"
    )
    assert row.score == 0.0


def test_a_group_is_predicted_from_the_others_alone():
    random = np.random.default_rng(0)
    features, targets = random.standard_normal((12, 3)), random.standard_normal((12, 1))
    groups = ["a"] * 6 + ["b"] * 6
    before = predict_held_out(features, targets, groups)
    targets[:6] += 100.0
    np.testing.assert_allclose(predict_held_out(features, targets, groups)[:6], before[:6])
    assert not np.allclose(predict_held_out(features, targets, groups)[6:], before[6:])


def test_features_are_those_of_the_network():
    network, samples = make_network(), group_by_degradation(make_patches())
    features = extract(network, samples)
    n = sum(len(some) for some in samples.values())
    assert features.of_samples[PIXELS].shape == (n, 3)
    first = torch.from_numpy(next(iter(samples.values()))[0][1])[None, None]
    with torch.inference_mode():
        np.testing.assert_allclose(features.of_samples[Z][0], network.task_representation(first)[0], atol=1e-5)
        level4 = network.encode(first)[3].mean(dim=(2, 3))[0]
    np.testing.assert_allclose(features.of_samples[LEVEL_4][0], level4, atol=1e-5)
    with pytest.raises(ValueError, match="static network has no task representation"):
        extract(make_network(adaptive=False), samples)


def test_degradations_of_one_task_are_compared_with_each_other_and_with_themselves():
    groups = group_by_degradation(make_patches(), MIDDLE)
    found = compare_degradations(make_network(), PlainL1Loss(), groups)
    assert {*found} == {"CT", "MRI", "PET"}
    for task, rows in found.items():
        qualities = {one.quality for one in MIDDLE if one.task == task}
        assert {row.task for row in rows} | {row.other for row in rows} == qualities
        assert all(row.n == (2 if row.task == row.other else 3) for row in rows)
        assert all(-1 <= row.mean <= 1 for row in rows if row.mean is not None)
