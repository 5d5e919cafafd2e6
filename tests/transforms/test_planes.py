import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from bundle.tat.dicom.reader import EVENLY_SPACED
from bundle.tat.inferers.planes import IN_PLANES
from bundle.tat.transforms.planes import ChoosePlanesd


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
    ],
    ids=str,
)
def test_other_scans_are_restored_slice_by_slice(scan):
    assert choose(**scan) is False


def test_a_turned_volume_has_the_voxels_that_it_has():
    """The sides of voxels are lengths of the affine's columns, whichever way they point."""
    turned = np.eye(4)
    turned[:3, :3] = np.array([[0, -4, 0], [0, 0, 2], [3, 0, 0]])
    image = MetaTensor(torch.zeros(1, 16, 16, 16), affine=torch.from_numpy(turned))
    assert ChoosePlanesd("image")({"image": image, "modality": "PET"})["image"].meta[IN_PLANES]
