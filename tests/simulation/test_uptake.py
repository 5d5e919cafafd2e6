import numpy as np
import pytest

pytest.importorskip("scipy")

from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.anatomy import Tissue, label_torso
from bundle.tat.simulation.uptake import TORSO_UPTAKE, attenuation_from_ct, brain_uptake, torso_uptake

VOXEL = 4.0  # mm


@pytest.fixture(scope="module")
def torso() -> np.ndarray:
    """Lungs, heart, spine, ribs and fat in an elliptic cylinder: the chest above, the abdomen below."""
    x, y, z = np.mgrid[:90, :64, :50] * VOXEL
    x, y = x - 180, y - 128
    radius = (x / 150) ** 2 + (y / 105) ** 2
    image = np.full(x.shape, -1000.0, dtype=np.float32)
    image[radius < 1] = -90  # fat
    image[radius < 0.85] = 45
    image[(radius > 0.7) & (radius < 0.75)] = 600  # ribs, as one shell
    lungs = (((np.abs(x) - 65) / 45) ** 2 + (y / 65) ** 2 < 1) & (z > 80)
    image[lungs] = -850
    image[(x**2 + (y - 60) ** 2 < 22**2)] = 400  # spine
    return image


def test_tissues_lie_where_a_body_has_them(torso):
    tissues = label_torso(torso, VOXEL)
    assert tissues[0, 0, 0] == Tissue.AIR
    assert tissues[29, 32, 35] == tissues[61, 32, 35] == Tissue.LUNG
    assert tissues[45, 47, 25] == Tissue.MARROW
    assert tissues[45, 28, 40] == Tissue.BLOOD  # between the lungs
    assert tissues[25, 30, 5] == tissues[25, 40, 5] == Tissue.LIVER  # to the patient's right, under the lung
    assert tissues[70, 36, 12] == Tissue.SPLEEN
    assert tissues[33, 44, 2] == tissues[57, 44, 2] == Tissue.KIDNEY
    assert (tissues == Tissue.MYOCARDIUM).any()


def test_a_ct_without_lungs_or_of_one_slice_is_refused(torso):
    with pytest.raises(RefusedInputError, match="no lung"):
        label_torso(np.full((20, 20, 20), 40.0), VOXEL)
    with pytest.raises(RefusedInputError, match="no bone"):
        label_torso(np.where(torso > 100, 45, torso), VOXEL)
    with pytest.raises(RefusedInputError, match=r"shape \(X, Y, Z\)"):
        label_torso(torso[:, :, 0], VOXEL)


def test_uptake_is_customary_without_jitter_and_texture():
    tissues = np.arange(11, dtype=np.uint8).reshape(11, 1, 1)
    lesions = np.zeros_like(tissues)
    uptake = torso_uptake(tissues, lesions, voxel_size=VOXEL, seed=0, jitter=0.0, texture=0.0)
    np.testing.assert_allclose(uptake.ravel(), [TORSO_UPTAKE[Tissue(label)] for label in range(11)], rtol=1e-6)


def test_every_tissue_jitters_on_its_own():
    tissues = np.arange(1, 11, dtype=np.uint8).reshape(10, 1, 1)
    none = np.zeros_like(tissues)
    customary = np.array([TORSO_UPTAKE[Tissue(label)] for label in range(1, 11)])
    ratios = np.stack(
        [
            torso_uptake(tissues, none, voxel_size=VOXEL, seed=seed, texture=0.0).ravel() / customary
            for seed in range(40)
        ]
    )
    assert ratios.min() >= 0.75 - 1e-6
    assert ratios.max() <= 1.25 + 1e-6
    np.testing.assert_allclose(ratios.std(axis=0), 0.5 / np.sqrt(12), rtol=0.35)  # a uniform deviation
    assert abs(np.corrcoef(ratios.T)[0, 1]) < 0.5


def test_a_lesion_glows_on_any_tissue(torso):
    tissues = label_torso(torso, VOXEL)
    lesions = np.zeros_like(tissues)
    lesions[29:31, 30:33, 35:37] = 1
    uptake = torso_uptake(tissues, lesions, voxel_size=VOXEL, seed=0, texture=0.0)
    assert 6.0 <= uptake[lesions == 1].min() <= uptake[lesions == 1].max() <= 9.5
    assert uptake[lesions == 0].max() <= 6.0 * 1.25 + 1e-5


@pytest.mark.parametrize("seed", range(5))
def test_lesions_are_made_up_in_the_body_and_nowhere_else(seed):
    tissues = np.full((40, 40, 40), Tissue.MUSCLE, dtype=np.uint8)
    tissues[:, :, 20:] = Tissue.AIR
    none = np.zeros_like(tissues)
    without, one, many = (
        torso_uptake(tissues, none, voxel_size=VOXEL, seed=seed, texture=0.0, n_made_up=number) for number in (0, 1, 20)
    )
    assert not one[:, :, 20:].any()
    differ = one != without
    assert 2.0 <= one.max() <= 9.5
    assert set(np.round(one[differ], 5)) <= {np.round(one.max(), 5), np.float32(0.8)}
    extent = [np.ptp(np.flatnonzero(differ.any(axis=axes))) * VOXEL for axes in ((1, 2), (0, 2), (0, 1))]
    assert max(extent) <= 2 * 18 * 1.3
    assert (many != without).sum() > 4 * differ.sum()


@pytest.mark.parametrize("seed", range(5))
def test_jitter_and_texture_stay_in_their_bounds(seed):
    tissues = np.full((40, 40, 40), Tissue.LIVER, dtype=np.uint8)
    uptake = torso_uptake(tissues, np.zeros_like(tissues), voxel_size=VOXEL, seed=seed)
    assert 2.4 * 0.75 * 0.95 < uptake.mean() < 2.4 * 1.25 * 1.05
    assert uptake.std() / uptake.mean() == pytest.approx(0.12, rel=0.1)
    step = np.diff(uptake, axis=0)
    assert step.std() < 0.5 * uptake.std()  # smooth


def test_a_seed_repeats_and_another_does_not(torso):
    tissues = label_torso(torso, VOXEL)
    before = tissues.copy()
    lesions = np.zeros_like(tissues)
    first, second, other = (torso_uptake(tissues, lesions, voxel_size=VOXEL, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(tissues, before)
    assert np.abs(first - other).max() > 0.1
    assert first.dtype == np.float32


def test_the_brain_mixes_its_tissues():
    gray = np.array([1.0, 0.0, 0.5, 0.0, 0.0, 0.0]).reshape(6, 1, 1)
    white = np.array([0.0, 1.0, 0.5, 0.0, 0.0, 0.0]).reshape(6, 1, 1)
    brain = np.array([1, 1, 1, 1, 0, 0], dtype=bool).reshape(6, 1, 1)
    head = np.array([1, 1, 1, 1, 1, 0], dtype=bool).reshape(6, 1, 1)
    uptake = brain_uptake(gray, white, brain, head, voxel_size=2.0, seed=0, jitter=0.0, texture=0.0)
    np.testing.assert_allclose(uptake.ravel(), [8.5, 2.4, 5.45, 0.6, 0.75, 0.0], rtol=1e-6)


def test_attenuation_is_bilinear():
    np.testing.assert_allclose(
        attenuation_from_ct(np.array([-2000.0, -1000.0, -500.0, 0.0, 1500.0])),
        [0.0, 0.0, 0.0048, 0.0096, 0.0172],
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    "parameters", [{"jitter": -0.1}, {"jitter": 1.0}, {"texture": 2.0}, {"texture": float("nan")}, {"n_made_up": -1}]
)
def test_refuses_absurd_parameters(parameters):
    tissues = np.zeros((2, 2, 2), dtype=np.uint8)
    with pytest.raises(RefusedInputError, match=next(iter(parameters))):
        torso_uptake(tissues, tissues, voxel_size=VOXEL, seed=0, **parameters)


def test_refuses_maps_that_do_not_match():
    with pytest.raises(RefusedInputError, match="one grid"):
        torso_uptake(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3)), voxel_size=VOXEL, seed=0)
    ones = np.ones((2, 2, 2))
    with pytest.raises(RefusedInputError, match=r"outside \[0, 1\]"):
        brain_uptake(255 * ones, ones, ones > 0, ones > 0, voxel_size=2.0, seed=0)
