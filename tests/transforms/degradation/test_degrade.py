import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

pytest.importorskip("astra")

from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation import mri
from bundle.tat.transforms.degradation.degrade import (
    LabelAsImaged,
    RandSimulateDegradationd,
    SimulateDegradationd,
    degrade,
    transaxial_axis,
)
from tests.helper import assert_same_geometry
from tests.scans import blobs, oblique_affine

SQUARE = oblique_affine((2.0, 2.0, 3.0))
RANGES = {"CT": (-1000, 500), "MRI": (0, 1200), "PET": (0, 8)}
modalities = st.sampled_from(list(RANGES))


def clean(modality="CT", shape=(17, 14, 3), affine=SQUARE, name="scan.nii.gz"):
    volume = torch.from_numpy(blobs(shape, *RANGES[modality]))[None]
    return MetaTensor(volume, affine=affine, meta={"filename_or_obj": f"/data/{name}"})


def degraded(transform, modality="CT", label=None, **more):
    return transform({"label": clean(modality) if label is None else label, "modality": modality, **more})["image"]


@settings(max_examples=10)
@given(
    modality=modalities, shape=st.lists(st.integers(8, 15), min_size=2, max_size=2), n_slices=st.sampled_from([0, 1, 2])
)
def test_slices_and_volumes_keep_their_geometry_and_the_clean_image(modality, shape, n_slices):
    label = clean(modality, (*shape, *([n_slices] if n_slices else [])))
    before = label.clone()
    image = degraded(SimulateDegradationd(), modality, label)
    assert torch.equal(label, before)
    assert image.dtype is torch.float32
    assert image.shape == label.shape
    torch.testing.assert_close(image.affine, label.affine)
    assert image.meta["filename_or_obj"] == label.meta["filename_or_obj"]
    assert not torch.equal(image, label)
    if n_slices:
        assert_same_geometry(image, label)


def test_a_pair_is_left_alone():
    pair = {"label": clean(), "image": clean(name="low.nii.gz"), "modality": "CT"}
    assert SimulateDegradationd()(pair)["image"] is pair["image"]


def test_mri_is_the_papers_truncation_slice_by_slice():
    label = clean("MRI")
    image = degraded(SimulateDegradationd(), "MRI", label)
    for index in range(3):
        np.testing.assert_array_equal(image[0, ..., index].numpy(), mri.reduce_resolution(label[0, ..., index].numpy()))
    assert torch.equal(image, degraded(RandSimulateDegradationd(), "MRI", label))


@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_the_same_entry_is_the_same_each_time_and_another_is_not(modality):
    transform, label = SimulateDegradationd(), clean(modality)
    first = degraded(transform, modality, label)
    assert torch.equal(first, degraded(SimulateDegradationd(), modality, label))
    assert torch.equal(first, degraded(transform, modality, label, draw=0))
    renamed = clean(modality, name="other.nii.gz")
    for other in (
        degraded(transform, modality, label, draw=1),
        degraded(transform, modality, renamed),
        degraded(SimulateDegradationd(seed=1), modality, label),
    ):
        assert not torch.equal(first, other)


@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_random_draws_follow_the_random_state(modality):
    transform, label = RandSimulateDegradationd(), clean(modality)
    runs = []
    for seed in (3, 3, 4):
        transform.set_random_state(seed=seed)
        runs.append([degraded(transform, modality, label) for _ in range(2)])
    assert all(torch.equal(one, same) for one, same in zip(runs[0], runs[1], strict=True))
    assert not torch.equal(*runs[0])
    assert not torch.equal(runs[0][0], runs[2][0])


@pytest.mark.parametrize(("modality", "name"), [("CT", "dose_fraction"), ("PET", "count_fraction")])
def test_less_is_noisier_and_slices_have_noise_of_their_own(modality, name):
    label = clean(modality, (24, 24, 2))
    label[..., 1] = label[..., 0]
    noise = []
    for fraction in (0.5, 0.1):
        image = degraded(SimulateDegradationd(**{name: (fraction, fraction)}), modality, label)
        assert not torch.equal(image[..., 0], image[..., 1])
        noise.append(float((image - label).std()))
    assert noise[0] < noise[1]


@pytest.mark.parametrize("modality", ["CT", "PET"])
@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_noise_is_made_in_transaxial_planes_whatever_the_order_of_axes(modality, axes):
    label = clean(modality, (12, 14, 3))
    order = (0, *(axis + 1 for axis in axes))
    turned = clean(modality, (12, 14, 3))
    turned = MetaTensor(turned.as_tensor().permute(order), meta=turned.meta)
    turned.affine = label.affine[:, [*axes, 3]]
    image = degraded(SimulateDegradationd(), modality, turned)
    torch.testing.assert_close(
        image.as_tensor(), degraded(SimulateDegradationd(), modality, label).as_tensor().permute(order)
    )
    assert transaxial_axis(turned.affine.numpy()) == axes.index(2)


def test_pet_keeps_the_mean_and_measures_negative_uptake_as_none():
    y, x = np.mgrid[:40, :40] - 20
    volume = np.where(x**2 + y**2 < 15**2, 4.0, -0.01).astype(np.float32)
    label = MetaTensor(torch.from_numpy(volume)[None], affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    image = degrade(label, Modality.PET, fraction=0.1, seed=0)
    assert float(image.min()) >= 0
    assert float(image[label > 0].mean()) == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dose_fraction": (0.5, 0.1)}, "dose_fraction is 0.5 to 0.1: pass ascending values above 0, up to 1"),
        ({"dose_fraction": (0.0, 0.1)}, "dose_fraction"),
        ({"count_fraction": (0.1, 0.6)}, "count_fraction is 0.1 to 0.6: pass ascending values above 0, up to 0.5"),
        ({"count_fraction": (float("nan"), 0.5)}, "count_fraction"),
        ({"keys": ["label", "other"]}, "pass one key, that of the clean image"),
    ],
)
def test_absurd_options_are_refused(options, reason):
    for transform in (SimulateDegradationd, RandSimulateDegradationd):
        with pytest.raises(RefusedInputError, match=reason):
            transform(**options)


@pytest.mark.parametrize(
    ("label", "modality", "reason"),
    [
        (clean(affine=oblique_affine((0.7, 0.9, 3.1))), "CT", "0.7 x 0.9 mm are not square"),
        (clean(affine=SQUARE[:, [0, 2, 1, 3]], shape=(9, 9, 1)), "PET", "pass the whole volume"),
        (MetaTensor(torch.zeros(2, 5, 5)), "CT", "pass one slice"),
        (MetaTensor(torch.zeros(1, 5)), "CT", "pass one slice"),
    ],
)
def test_what_has_no_transaxial_slices_is_refused(label, modality, reason):
    with pytest.raises(RefusedInputError, match=reason):
        degraded(SimulateDegradationd(), modality, label)


def test_a_clean_scan_stands_for_its_degraded_one_and_pairs_stay_pairs():
    label = clean()
    alone = LabelAsImaged()({"label": label})
    assert torch.equal(alone["image"], label)
    assert alone["image"] is not label
    assert_same_geometry(alone["image"], label)
    image = label + 1
    assert LabelAsImaged()({"label": label, "image": image})["image"] is image
