import logging

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from bundle.tat.simulation.mri import reduce_resolution
from bundle.tat.transforms.in_distribution import CheckInDistributiond, median_power_beyond

SIZES = {"CT": [0.45, 2.0], "MRI": [0.6, 1.4]}


def scan(modality="MRI", factor=4, spacing=1.0, n_slices=3):
    """A sharp volume, each slice truncated."""
    generator = np.random.default_rng(0)
    volume = np.zeros((80, 72, n_slices), np.float32)
    volume[12:60, 10:55] = generator.uniform(200, 900, (48, 45, n_slices))
    slices = [reduce_resolution(volume[..., index], factor=factor) for index in range(n_slices)]
    image = MetaTensor(torch.from_numpy(np.stack(slices, -1))[None], affine=np.diag([spacing, spacing, 5.0, 1.0]))
    return {"image": image, "modality": modality}


def test_truncated_mri_passes_as_it_is():
    item = scan()
    assert CheckInDistributiond("image", SIZES)(item)["image"] is item["image"]


@pytest.mark.parametrize("factor", [1, 2])
def test_mri_of_more_resolution_is_refused(factor):
    with pytest.raises(ValueError, match=r"more of k-space than the central 1/4 .*--any_resolution True"):
        CheckInDistributiond("image", SIZES)(scan(factor=factor))


def test_the_refusal_can_be_turned_into_a_warning(caplog):
    CheckInDistributiond("image", SIZES, enabled=False)(scan(factor=1))
    assert "detail may be lost" in caplog.text


def test_only_the_resolution_within_slices_counts():
    item = scan(n_slices=64)
    item["image"] *= torch.rand(64)
    CheckInDistributiond("image", SIZES)(item)
    assert median_power_beyond(item["image"], 2, 4) < 0.01


@pytest.mark.parametrize("factor", [2, 4])
def test_any_of_several_truncations_will_do(factor):
    CheckInDistributiond("image", SIZES, mri_factors=(2, 4))(scan(factor=factor))
    with pytest.raises(ValueError, match="central 1/2"):
        CheckInDistributiond("image", SIZES, mri_factors=(2, 4))(scan(factor=1))


def test_ct_is_not_asked_for_its_resolution():
    CheckInDistributiond("image", SIZES)(scan("CT", factor=1))


@pytest.mark.parametrize(("spacing", "n_warnings"), [(0.4, 1), (0.45, 0), (2.0, 0), (2.3, 1)])
def test_unseen_pixel_sizes_are_told(caplog, spacing, n_warnings):
    with caplog.at_level(logging.WARNING):
        CheckInDistributiond("image", SIZES)(scan("CT", spacing=spacing))
    assert sum("0.45 to 2 mm" in message for message in caplog.messages) == n_warnings


def test_a_slice_too_small_to_tell_passes():
    item = {"image": MetaTensor(torch.rand(1, 16, 16, 2)), "modality": "MRI"}
    CheckInDistributiond("image", {})(item)
    assert np.isnan(median_power_beyond(item["image"], 2, 4))
