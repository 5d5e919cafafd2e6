import numpy as np
import pytest

from bundle.tat.metrics.edges import EdgeProfile, edge_profile, mtf50, overshoot, rise_distance

DISTANCES = np.random.default_rng(0).uniform(-20, 20, 40000)


def gaussian_edge(sigma: float) -> np.ndarray:
    from scipy.special import ndtr

    return 30 + 100 * ndtr(DISTANCES / sigma)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("sign", [1, -1], ids=["rising", "falling"])
def test_the_rise_of_a_gaussian_edge_is_known(sigma, sign):
    profile = edge_profile(DISTANCES, sign * gaussian_edge(sigma), width=8.0)
    assert rise_distance(profile) == pytest.approx(2.563 * sigma, rel=0.1, abs=0.1)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0])
def test_the_transfer_of_a_gaussian_edge_is_known(sigma):
    profile = edge_profile(DISTANCES, gaussian_edge(sigma), width=10.0, n_bins=100)
    assert mtf50(profile) == pytest.approx(np.sqrt(np.log(2) / 2) / (np.pi * sigma), rel=0.05)


@pytest.mark.parametrize("cutoff", [0.1, 0.2, 0.4])
def test_truncation_makes_the_overshoot_of_gibbs_and_a_transfer_up_to_its_cutoff(cutoff):
    from scipy.special import sici

    distances = np.linspace(-30, 30, 601)
    profile = EdgeProfile(distances, 0.5 + sici(2 * np.pi * cutoff * distances)[0] / np.pi)
    assert overshoot(profile) == pytest.approx(0.0895, abs=0.002)
    assert mtf50(profile) == pytest.approx(cutoff, rel=0.03)


def test_an_edge_that_stays_between_its_plateaus_does_not_overshoot():
    assert overshoot(edge_profile(DISTANCES, gaussian_edge(1.0), width=8.0)) < 1e-3
