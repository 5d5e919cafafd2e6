import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from bundle.tat.dicom.reader import EVENLY_SPACED
from bundle.tat.inferers.planes import IN_PLANES
from bundle.tat.modality import Modality
from bundle.tat.trained_kind import TrainedKind
from bundle.tat.transforms.planes import ChoosePlanesd

UP_TO_5_5_MM = TrainedKind({Modality.PET: (2.0, 5.5)})


def choose(shape=(40, 30, 20), voxel=(3.0, 3.0, 3.0), modality="PET", meta=None, **options):
    image = MetaTensor(torch.zeros(1, *shape), affine=torch.from_numpy(np.diag([*voxel, 1.0])), meta=meta or {})
    return ChoosePlanesd("image", **options)({"image": image, "modality": modality})["image"].meta[IN_PLANES]


@pytest.mark.parametrize("voxel", [(3, 3, 3), (4.1, 4.1, 2.1), (5.5, 3.3, 3.3)])
def test_pet_of_nearly_cubic_voxels_is_restored_in_three_planes(voxel):
    assert choose(voxel=voxel) is True


@pytest.mark.parametrize(
    "scan",
    [
        {"modality": "CT"},
        {"modality": "MRI"},
        {"shape": (40, 30, 15)},
        {"shape": (40, 30)},
        {"voxel": (3, 3, 6.1)},
        {"voxel": (6.1, 3, 3)},
        {"meta": {EVENLY_SPACED: False}},
        {"enabled": False},
        {"voxel": (5, 5, 10), "trained": UP_TO_5_5_MM},
        {"voxel": (5.6, 4, 4), "trained": UP_TO_5_5_MM},
    ],
    ids=str,
)
def test_other_scans_are_restored_slice_by_slice(scan):
    assert choose(**scan) is False


@pytest.mark.parametrize("trained", [UP_TO_5_5_MM, TrainedKind({}), None])
def test_sides_of_the_largest_pixel_of_training_are_not_too_long(trained):
    """As float32 stores them, too."""
    assert choose(voxel=(5.501, 5.5, 3.3), trained=trained) is True


@pytest.mark.parametrize("trained", [TrainedKind({Modality.CT: (0.45, 3.4)}), None])
def test_where_the_training_is_not_known_no_side_is_too_long(trained):
    assert choose(voxel=(5, 5, 10), trained=trained) is True


def test_a_turned_volume_has_the_voxels_that_it_has():
    """The sides of voxels are lengths of the affine's columns, whichever way they point."""
    turned = np.eye(4)
    turned[:3, :3] = np.array([[0, -4, 0], [0, 0, 2], [3, 0, 0]])
    image = MetaTensor(torch.zeros(1, 16, 16, 16), affine=torch.from_numpy(turned))
    assert ChoosePlanesd("image")({"image": image, "modality": "PET"})["image"].meta[IN_PLANES]
