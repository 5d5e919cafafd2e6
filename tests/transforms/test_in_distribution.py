import json
import logging

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from bundle.tat.modality import Modality
from bundle.tat.simulation.mri import KSpaceCoverage, acquire
from bundle.tat.trained_kind import TrainedKind
from bundle.tat.transforms.in_distribution import CheckInDistributiond
from bundle.tat.transforms.upsample import UpsampleMrid

SIZES = {Modality.CT: (0.45, 2.0), Modality.MRI: (0.6, 1.4)}
QUARTER = TrainedKind(SIZES, mri_kept=(0.25, 0.25))
WIDE = TrainedKind(SIZES, mri_kept=(0.2, 0.8), mri_kept_beside_whole=(0.2, 0.6))


def scan(modality="MRI", kept=(0.25, 0.25), spacing=1.0, n_slices=3):
    """A sharp volume, each slice truncated."""
    generator = np.random.default_rng(0)
    volume = np.zeros((80, 72, n_slices), np.float32)
    volume[12:60, 10:55] = generator.uniform(200, 900, (48, 45, n_slices))
    slices = [acquire(volume[..., index], seed=0, coverage=KSpaceCoverage(kept=kept)) for index in range(n_slices)]
    image = MetaTensor(torch.from_numpy(np.stack(slices, -1))[None], affine=np.diag([spacing, spacing, 5.0, 1.0]))
    return {"image": image, "modality": modality}


def test_truncated_mri_passes_as_it_is():
    item = scan()
    assert CheckInDistributiond("image", QUARTER)(item)["image"] is item["image"]
    assert json.loads(item["image"].meta["kspace_kept"]) == pytest.approx([0.25, 0.25], abs=0.04)


def test_mri_that_fills_kspace_is_refused_with_the_switch_that_helps():
    for trained, factor in ((QUARTER, 4), (WIDE, 2)):
        advice = rf"fills k-space .*: pass --mri_upsample {factor} .*, or pass --any_resolution True"
        with pytest.raises(ValueError, match=advice):
            CheckInDistributiond("image", trained)(scan(kept=(1.0, 1.0)))


@pytest.mark.parametrize(("upsampling", "factor"), [(2, 4), (3, 4)])
def test_the_advised_switch_is_the_one_for_the_grid_of_the_file(upsampling, factor):
    finer = UpsampleMrid("image", upsampling)(scan(kept=(1.0, 1.0)))
    with pytest.raises(ValueError, match=rf"holds .*: pass --mri_upsample {factor} "):
        CheckInDistributiond("image", QUARTER)(finer)
    finer = CheckInDistributiond("image", QUARTER)(UpsampleMrid("image", factor)(scan(kept=(1.0, 1.0))))
    assert json.loads(finer["image"].meta["kspace_kept"]) == [0.25, 0.25]


@pytest.mark.parametrize(
    ("kept", "trained", "message"),
    [
        ((0.5, 0.5), QUARTER, r"5\d % x 5\d % of k-space, and the weights complete 25 % of each axis: pass --mri_up"),
        ((0.25, 0.6), QUARTER, r"holds 2\d % x 6\d % of k-space, .*: use weights that were trained on this part"),
        ((0.4, 1.0), QUARTER, r"holds 4\d % x 100 % of k-space"),
        (
            (0.9, 0.9),
            WIDE,
            r"complete 20 to 80 % of each axis, or 20 to 60 % of one and all of the other: pass .* 2",
        ),
        ((0.75, 1.0), WIDE, r"holds 7\d % x 100 % of k-space, .*: pass --mri_upsample 2"),
    ],
    ids=["a half", "one axis of two", "one axis whole", "nearly all", "much of one axis and all of the other"],
)
def test_mri_of_another_resolution_is_refused(kept, trained, message):
    with pytest.raises(ValueError, match=message):
        CheckInDistributiond("image", trained)(scan(kept=kept))


@pytest.mark.parametrize("kept", [(0.25, 0.25), (0.5, 0.33), (0.8, 0.2), (1.0, 0.5), (0.6, 1.0)])
def test_weights_of_many_parts_take_many(kept):
    CheckInDistributiond("image", WIDE)(scan(kept=kept))


def test_the_refusal_can_be_turned_into_a_warning(caplog):
    CheckInDistributiond("image", QUARTER, enabled=False)(scan(kept=(1.0, 1.0)))
    assert "detail may be lost" in caplog.text


def test_only_the_resolution_within_slices_counts():
    item = scan(n_slices=64)
    item["image"] *= torch.rand(64)
    CheckInDistributiond("image", QUARTER)(item)


def test_weights_of_which_nothing_is_known_take_any_resolution():
    CheckInDistributiond("image", TrainedKind({}))(scan(kept=(1.0, 1.0)))


def test_ct_is_not_asked_for_its_resolution():
    CheckInDistributiond("image", QUARTER)(scan("CT", kept=(1.0, 1.0)))


@pytest.mark.parametrize(("spacing", "n_warnings"), [(0.4, 1), (0.45, 0), (2.0, 0), (2.3, 1)])
def test_unseen_pixel_sizes_are_told(caplog, spacing, n_warnings):
    with caplog.at_level(logging.WARNING):
        CheckInDistributiond("image", QUARTER)(scan("CT", spacing=spacing))
    assert sum("0.45 to 2 mm" in message for message in caplog.messages) == n_warnings


def small(**meta):
    return {"image": MetaTensor(torch.rand(1, 16, 16, 2), meta=meta), "modality": "MRI"}


def test_a_slice_too_small_to_tell_passes_with_a_warning(caplog):
    item = small()
    CheckInDistributiond("image", QUARTER)(item)
    assert json.loads(item["image"].meta["kspace_kept"]) == [None, None]
    assert "cannot estimate how much of k-space" in caplog.text


def test_where_the_pixels_tell_nothing_the_header_is_believed(caplog):
    CheckInDistributiond("image", QUARTER)(small(acquired_shares="[0.25, 0.25]"))
    whole = {"acquired_shares": "[1.0, 1.0]"}
    with pytest.raises(ValueError, match=r"by Acquisition Matrix \(0018,1310\), this MRI fills k-space .* 4 "):
        CheckInDistributiond("image", QUARTER)(small(**whole))
    finer = CheckInDistributiond("image", QUARTER)(UpsampleMrid("image", 4)(small(**whole)))
    assert json.loads(finer["image"].meta["kspace_kept"]) == [None, None]
    assert "nothing tells" not in caplog.text


def test_where_the_header_tells_another_matrix_it_is_told(caplog):
    for share, n_warnings in ((0.27, 0), (0.5, 1)):
        caplog.clear()
        item = scan()
        item["image"].meta["acquired_shares"] = json.dumps([0.25, share])
        CheckInDistributiond("image", QUARTER)(item)
        assert sum("the pixels are used" in message for message in caplog.messages) == n_warnings
