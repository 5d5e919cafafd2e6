import numpy as np
import pytest

pytest.importorskip("astra")

from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.osem import osem
from bundle.tat.simulation.pet import Acquisition, acquire
from bundle.tat.simulation.projector import ParallelBeam

PIXEL_SIZE = 5.0  # mm
ACQUISITION = Acquisition(n_angles=60)


@pytest.fixture(scope="module")
def maps() -> tuple[np.ndarray, np.ndarray]:
    """Activity [SUV] and attenuation [1/mm] of a round body with a hot spot."""
    y, x = np.mgrid[:47, :52] * PIXEL_SIZE
    y, x = y - 115, x - 127
    inside = x**2 + y**2 < 90**2
    activity = np.where(inside, 2.0, 0.0)
    activity[(x - 35) ** 2 + y**2 < 20**2] = 8.0
    return activity, np.where(inside, 0.0096, 0.0)


def test_noise_free_counts_give_the_activity_back(maps):
    activity, attenuation = maps
    beam = ParallelBeam(activity.shape, PIXEL_SIZE, 60)
    weights = 10 * np.exp(-beam.forward(attenuation))
    counts = weights * beam.forward(activity) + 30.0
    restored = osem(counts, beam, weights=weights, background=30.0, n_iterations=20, n_subsets=5)
    interior = activity == 2.0
    assert np.abs(restored - activity)[interior].mean() < 0.15
    assert restored[activity == 8.0].mean() == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("wrong", ["attenuation", "background"])
def test_both_corrections_matter(maps, wrong):
    activity, attenuation = maps
    beam = ParallelBeam(activity.shape, PIXEL_SIZE, 60)
    weights = 10 * np.exp(-beam.forward(attenuation))
    counts = weights * beam.forward(activity) + 300.0
    assumed = np.full_like(weights, weights.mean()) if wrong == "attenuation" else weights
    background = 0.0 if wrong == "background" else 300.0
    restored = osem(counts, beam, weights=assumed, background=background, n_iterations=5, n_subsets=5)
    assert np.abs(restored - activity).mean() > 0.3


def test_thinning_keeps_the_mean_and_adds_noise(maps):
    activity, attenuation = maps
    pair = acquire(activity, attenuation, pixel_size=PIXEL_SIZE, seed=1, acquisition=ACQUISITION)
    flat = (activity == 2.0) & (np.roll(activity, 6, axis=1) == 2.0) & (np.roll(activity, -6, axis=1) == 2.0)
    assert pair.standard.mean() == pytest.approx(activity.mean(), rel=0.02)
    assert pair.low.mean() == pytest.approx(pair.standard.mean(), rel=0.03)
    assert pair.low[flat].std() > 2 * pair.standard[flat].std()
    assert min(pair.low.min(), pair.standard.min()) >= 0


def test_the_low_counts_are_a_subset_of_the_standard_ones(maps):
    """Noise of the two must be correlated; drawn anew it would not be."""
    fraction = Acquisition(n_angles=60, count_fraction=0.5, sensitivity=0.2)
    pairs = [acquire(*maps, pixel_size=PIXEL_SIZE, seed=seed, acquisition=fraction) for seed in range(12)]
    low, standard = (np.stack(images) for images in zip(*pairs, strict=True))
    inside = maps[0] > 0
    low, standard = (stack[:, inside] - stack[:, inside].mean(axis=0) for stack in (low, standard))
    correlation = (low * standard).sum() / np.sqrt((low**2).sum() * (standard**2).sum())
    assert correlation == pytest.approx(np.sqrt(0.5), abs=0.12)


def test_all_counts_give_the_same_image(maps):
    pair = acquire(*maps, pixel_size=PIXEL_SIZE, seed=1, acquisition=Acquisition(n_angles=60, count_fraction=1.0))
    np.testing.assert_array_equal(pair.low, pair.standard)


def test_fewer_counts_are_noisier(maps):
    noise = [
        np.std(np.subtract(*acquire(*maps, pixel_size=PIXEL_SIZE, seed=3, acquisition=acquisition)))
        for acquisition in (Acquisition(n_angles=60, count_fraction=fraction) for fraction in (0.5, 1 / 12, 1 / 50))
    ]
    assert noise[0] < noise[1] < noise[2]


def test_a_seed_repeats_and_another_does_not(maps):
    activity, attenuation = maps
    before = activity.copy(), attenuation.copy()
    first, second, other = (
        acquire(activity, attenuation, pixel_size=PIXEL_SIZE, seed=seed, acquisition=ACQUISITION) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(activity, before[0])
    np.testing.assert_array_equal(attenuation, before[1])
    for one, same, different in zip(first, second, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert np.abs(one - different).max() > 0.1
        assert one.dtype == np.float32


def test_an_empty_slice_stays_empty():
    nothing = np.zeros((16, 16))
    pair = acquire(nothing, nothing, pixel_size=PIXEL_SIZE, seed=0, acquisition=ACQUISITION)
    assert pair.low.max() == pair.standard.max() == 0


@pytest.mark.parametrize(
    ("activity", "attenuation", "reason"),
    [
        (np.zeros((4, 4, 4)), np.zeros((4, 4)), "at a time"),
        (np.zeros((4, 4)), np.full((4, 4), np.nan), "NaN"),
        (np.full((4, 4), -1.0), np.zeros((4, 4)), "activity reaches -1"),
        (np.zeros((4, 4)), np.zeros((4, 5)), "one grid"),
    ],
)
def test_refuses_bad_maps(activity, attenuation, reason):
    with pytest.raises(RefusedInputError, match=reason):
        acquire(activity, attenuation, pixel_size=PIXEL_SIZE, seed=0)


@pytest.mark.parametrize(
    "parameters",
    [
        {"sensitivity": 0.0},
        {"count_fraction": 0.0},
        {"count_fraction": 2.0},
        {"resolution": -1.0},
        {"background_fraction": float("nan")},
    ],
)
def test_refuses_absurd_parameters(parameters):
    with pytest.raises(RefusedInputError, match=next(iter(parameters))):
        Acquisition(**parameters)


@pytest.mark.parametrize(("n_subsets", "n_iterations", "reason"), [(7, 2, "does not divide 60"), (10, 0, "1 or more")])
def test_refuses_an_impossible_reconstruction(maps, n_subsets, n_iterations, reason):
    acquisition = Acquisition(n_angles=60, n_subsets=n_subsets, n_iterations=n_iterations)
    with pytest.raises(RefusedInputError, match=reason):
        acquire(*maps, pixel_size=PIXEL_SIZE, seed=0, acquisition=acquisition)
