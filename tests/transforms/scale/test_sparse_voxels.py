import copy

import torch
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.transforms.scale.sparse_voxels import SparseVoxels
from bundle.tat.transforms.volume import slowest_axis

shapes = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 7))


def chosen(volume, mask, axis):
    voxels = SparseVoxels(axis, volume.shape[axis])
    for index, (plane, of_plane) in enumerate(zip(volume.unbind(axis), mask.unbind(axis), strict=True)):
        voxels.set_plane(index, of_plane, plane[of_plane])
    return voxels


@given(
    shape=shapes, axis=st.integers(0, 2), share=st.floats(0, 1), n_values=st.integers(1, 4), seed=st.integers(0, 999)
)
def test_voxels_come_back_to_their_places(shape, axis, share, n_values, seed):
    """Equal values are held once, others one by one: both must come back."""
    random = torch.Generator().manual_seed(seed)
    volume = torch.randint(1, n_values + 1, shape, generator=random).float()
    mask = torch.rand(shape, generator=random) < share
    voxels = chosen(volume, mask, axis)
    assert voxels.n_voxels == int(mask.sum())

    other = torch.rand(shape, generator=random)
    put, added, filled = other.clone(), other.clone(), other.clone()
    voxels.put_into(put)
    voxels.add_to(added)
    voxels.fill(filled, -7.0)
    assert torch.equal(put, torch.where(mask, volume, other))
    assert torch.equal(added, torch.where(mask, other + volume, other))
    assert torch.equal(filled, torch.where(mask, torch.tensor(-7.0), other))
    assert not voxels.has_negative


def test_padding_costs_a_bit_for_each_voxel():
    volume = torch.full((4, 64, 64), -3024.0)
    voxels = chosen(volume, torch.ones(4, 64, 64, dtype=torch.bool), 0)
    assert voxels.bits.nbytes == volume.numel() / 8
    assert set(voxels.values.values()) == {-3024.0}
    assert voxels.has_negative


def test_a_copy_is_the_same_object():
    """MONAI copies what a transform notes down, for each image that it inverts."""
    voxels = SparseVoxels(0, 1)
    assert copy.deepcopy({"excess": voxels})["excess"] is voxels


def test_planes_lie_together_in_memory():
    volume = torch.empty(1, 4, 5, 6)
    assert slowest_axis(volume) == 1
    assert slowest_axis(volume.transpose(1, 3)) == 3
    assert slowest_axis(volume[:, :, :, 0:1].transpose(1, 3)) == 3
