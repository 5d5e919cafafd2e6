import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from bundle.tat.kspace import truncate_kspace
from bundle.tat.transforms.consistency import KspaceConsistencyd, centre_window, real_centre_of
from tests.scans import blobs


def scans(shape: tuple[int, int, int]) -> tuple[MetaTensor, MetaTensor]:
    """A degraded scan and something that claims to be its restoration."""
    degraded, restored = (blobs(shape, 0, 1000, seed=seed) for seed in (1, 2))
    return MetaTensor(degraded[None]), MetaTensor(restored[None])


@given(width=st.integers(8, 30), height=st.integers(8, 30), axis=st.integers(-3, 2))
def test_the_kept_samples_are_the_measured_ones_and_the_others_the_networks(width, height, axis):
    image, pred = scans((width, height, 9))
    done = KspaceConsistencyd(slice_axis=axis)({"image": image, "pred": pred, "modality": "MRI"})["pred"]
    for index in range(image.shape[1 + axis % 3]):
        slices = [volume.select(1 + axis % 3, index)[0].numpy() for volume in (image, pred, done)]
        measured, restored, consistent = slices
        kept = truncate_kspace(consistent)
        np.testing.assert_allclose(kept, truncate_kspace(measured), atol=0.05)
        window = centre_window(measured.shape, (measured.shape[0] // 4, measured.shape[1] // 4), 1.0)
        without = [s - real_centre_of(s, window) for s in (restored, consistent)]
        np.testing.assert_allclose(*without, atol=0.05)


@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_other_modalities_have_no_kspace(modality):
    image, pred = scans((8, 9, 3))
    assert KspaceConsistencyd()({"image": image, "pred": pred, "modality": modality})["pred"] is pred


def test_the_input_is_left_as_it_is():
    image, pred = scans((12, 12, 2))
    before = pred.clone()
    KspaceConsistencyd()({"image": image, "pred": pred, "modality": "MRI"})
    torch.testing.assert_close(pred, before)
