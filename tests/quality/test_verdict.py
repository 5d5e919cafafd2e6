"""What the verdict says, and that it never guesses."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.metrics.regions import smoothed
from bundle.tat.modality import Modality
from bundle.tat.quality.calibration import NO_CALIBRATION, Logistic, Representation
from bundle.tat.quality.features import USED, case_features
from bundle.tat.quality.measures import N_SLICES, CaseMeasures, chosen_slices, tissue_shifts
from bundle.tat.quality.record import Quality, ShownSlice, ShownSlices, from_json, read_shown, to_json, write_shown
from bundle.tat.quality.verdict import chance_in_words, judge
from tests.quality.helper import anatomy, calibration, measured, one_slice


def test_a_restoration_that_takes_noise_alone_is_as_trained():
    assert judge(measured(lambda clean: clean), calibration()).verdict == "as trained"


def test_a_restoration_that_blurs_is_not_to_be_used():
    judgement = judge(measured(lambda clean: smoothed(clean, 2.5)), calibration())
    assert judgement.verdict == "do not use"
    assert "came out worse than their input" in judgement.reasons[0]
    assert judgement.harm > 0.5


@pytest.mark.parametrize(
    ("chance", "words"), [(0.0004, "less than 1 %"), (0.02, "2 %"), (0.99, "99 %"), (0.9999, "more than 99 %")]
)
def test_a_chance_is_never_told_as_certain(chance, words):
    assert chance_in_words(chance) == words


def test_a_reason_says_the_limit_that_it_is_above():
    """2 % alone would sound like a good reason to rely on a scan."""
    judgement = judge(measured(lambda clean: smoothed(clean, 2.5)), calibration(do_not_use=2.0, look_closely=0.02))
    assert judgement.verdict == "look closely"
    assert "worse than their input (the limit of this verdict is 2 %)" in judgement.reasons[0]


def test_without_a_calibration_there_is_no_guess():
    judgement = judge(measured(lambda clean: clean), NO_CALIBRATION)
    assert (judgement.verdict, judgement.harm, judgement.edges) == ("not calibrated", None, None)
    assert "make calibrate" in judgement.reasons[0]


def test_a_modality_that_was_not_calibrated_is_told():
    measures = replace(measured(lambda clean: clean), modality=Modality.MRI)
    assert judge(measures, calibration()).reasons == ("the verdict of these weights was not calibrated for MRI",)


def test_too_little_tissue_is_looked_at():
    assert judge(CaseMeasures(Modality.CT, 1, ()), calibration()).verdict == "look closely"


def test_a_scan_unlike_training_is_looked_at():
    far = measured(lambda clean: clean, representation=7.5)
    assert "this scan differs from those of training (distance 7.5" in judge(far, calibration()).reasons[0]
    assert judge(replace(far, representation=4.0), calibration()).verdict == "as trained"


def test_measures_beyond_those_of_the_calibration_are_looked_at():
    narrow = calibration(ranges={"edge_ratio": (2.0, 3.0)})
    assert "is below that of all calibration scans" in judge(measured(lambda clean: clean), narrow).reasons[0]


def test_a_noisy_scan_that_was_left_alone_is_looked_at():
    measures = CaseMeasures(Modality.CT, 1, (one_slice(change_flat=0.5, change_edges=0.4, change_body=0.5),))
    assert judge(measures, calibration()).reasons == (
        "almost nothing was restored: the change is 0.5 HU, less than 10 % of the noise of the input (20 HU)",
    )


@given(low=st.floats(0.1, 100.0), factor=st.floats(1.0, 50.0))
def test_a_larger_change_at_edges_never_makes_a_scan_less_doubtful(low, factor):
    chances = [
        judge(CaseMeasures(Modality.CT, 1, (one_slice(change_edges=edges),)), calibration()).harm
        for edges in (low, low * factor)
    ]
    assert chances[0] <= chances[1]


def test_an_unknown_feature_tells_nothing():
    model = Logistic(("edge_ratio", "kspace_change"), (0.0, -3.0), (1.0, 1.0), (1.0, 9.0), 0.0)
    assert model.chance({"edge_ratio": 0.0, "kspace_change": None}) == 0.5


def test_features_of_every_modality_are_known():
    for modality in Modality:
        assert tuple(case_features(CaseMeasures(modality, 1, (one_slice(),)))) == USED[modality]


def test_distance_is_that_of_mahalanobis():
    known = Representation((1.0, 0.0), ((4.0, 0.0), (0.0, 1.0)), 3.0)
    np.testing.assert_allclose(known.distances(np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 3.0]])), [0.0, 2.0, 3.0])
    assert np.isnan(known.distances(np.zeros((2, 5)))).all()  # of another network


@given(n=st.integers(1, 500), every=st.booleans())
def test_slices_are_spread_from_end_to_end(n, every):
    chosen = chosen_slices(n, every=every)
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    assert chosen[-1] == n - 1
    assert len(chosen) == (n if every else min(n, N_SLICES))


def test_shift_of_tissue():
    image = np.full((30, 30), 40.0, np.float32)
    assert tissue_shifts([(image, image + 3.0)]) == pytest.approx({"soft tissue": 3.0})


def test_numbers_survive_their_record():
    measures = measured(lambda clean: clean, representation=2.0, tissue_shifts={"lung": -1.5}, activity=(3.0, 2.9))
    quality = Quality(measures, judge(measures, calibration()))
    again = from_json(json.loads(json.dumps(to_json(quality))))
    assert again.judgement == quality.judgement
    assert again.measures.median("noise_before") == pytest.approx(measures.median("noise_before"), rel=1e-4)
    assert to_json(again) == to_json(quality)


def test_slices_survive_their_file(tmp_path):
    one = ShownSlice(3, anatomy(), anatomy() + 1.0)
    write_shown(tmp_path, ShownSlices(one, replace(one, index=4, disagreement=anatomy() * 0.0), np.eye(4)))
    again = read_shown(tmp_path)
    assert (again.worst.index, again.median.index, again.worst.disagreement) == (3, 4, None)
    np.testing.assert_allclose(again.worst.image, one.image, atol=0.5)
    assert not again.median.disagreement.any()
    assert read_shown(tmp_path / "nowhere") is None
    whole = (tmp_path / "quality.npz").read_bytes()
    middle = len(whole) // 2
    for damaged in (b"damaged", b"", whole[:-40], whole[:middle], whole[:500] + bytes(200) + whole[700:]):
        (tmp_path / "quality.npz").write_bytes(damaged)
        assert read_shown(tmp_path) is None
