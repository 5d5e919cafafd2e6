"""Volumes that are restored along their three axes."""

import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor
from torch.utils._python_dispatch import TorchDispatchMode

from bundle.tat.inferers.planes import IN_PLANES, average_planes, is_in_planes, n_slices_to_restore
from bundle.tat.inferers.slices import RestorationSliceInferer

SIDES = st.tuples(*[st.integers(2, 20)] * 3)


def as_scan(volume, in_planes):
    return MetaTensor(volume, meta={IN_PLANES: in_planes})


@given(shape=SIDES, slice_axis=st.integers(0, 2), workers=st.integers(1, 2))
def test_a_network_that_changes_each_voxel_alone_gives_the_same_in_three_planes(shape, slice_axis, workers):
    volume = torch.rand(1, 1, *shape)
    inferer = RestorationSliceInferer(slice_axis, progress=False, workers=workers)
    one, three = (inferer(as_scan(volume, asked), lambda slices: 2 * slices) for asked in (False, True))
    torch.testing.assert_close(three.as_tensor(), one.as_tensor())
    assert three.meta[IN_PLANES]


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_the_stored_plane_has_half_of_the_weight_and_the_others_a_quarter_each(slice_axis):
    """Each restoration gives 1, 10 or 100, by its axis."""
    volumes = torch.rand(2, 1, 16, 8, 24)
    seen = []

    def restore(volumes, axis):
        assert all(side % 8 == 0 for side in volumes.shape[2:])
        seen.append(volumes.clone())
        volumes.fill_(10.0**axis)

    before = volumes.clone()
    average_planes(volumes, slice_axis, restore)
    expected = sum(10.0**axis * (0.5 if axis == slice_axis else 0.25) for axis in range(3))
    torch.testing.assert_close(volumes, torch.full_like(volumes, expected))
    assert all(torch.equal(given, before) for given in seen)


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of the tensors that exist at once."""

    def __init__(self):
        super().__init__()
        self.results = []
        self.n_bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.results.append(weakref.ref(result))
        alive = [tensor.untyped_storage() for one in self.results if (tensor := one()) is not None]
        self.n_bytes = max(self.n_bytes, sum({one.data_ptr(): one.nbytes() for one in alive}.values()))
        return result


@pytest.mark.parametrize("order", [(2, 3, 4), (4, 3, 2)], ids=["rows first", "as DICOM is read"])
@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_two_further_volumes_are_in_memory_at_most(slice_axis, order):
    volumes = torch.rand(1, 1, 32, 32, 32).permute(0, 1, *order)
    with PeakMemory() as peak:
        average_planes(volumes, slice_axis, lambda volumes, _: volumes.mul_(2.0))
    further = peak.n_bytes / volumes.untyped_storage().nbytes() - 1
    assert 1.9 < further < 2.1


@given(shape=SIDES, slice_axis=st.integers(0, 2), in_planes=st.booleans())
def test_the_slices_are_counted_before_they_are_restored(shape, slice_axis, in_planes):
    volume = 1.0 + torch.rand(1, 1, *shape)
    n_seen = 0

    def network(slices):
        nonlocal n_seen
        n_seen += len(slices)
        return slices

    RestorationSliceInferer(slice_axis, progress=False, workers=1)(as_scan(volume, in_planes), network)
    assert n_seen == n_slices_to_restore(volume, slice_axis, in_planes=in_planes)


def test_slices_of_other_planes_have_sides_of_multiples_of_eight():
    shapes = set()

    def network(slices):
        shapes.add(tuple(slices.shape[2:]))
        return slices

    RestorationSliceInferer(progress=False, workers=1)(as_scan(torch.rand(1, 1, 16, 24, 19), True), network)
    assert shapes == {(16, 24), (24, 24)}


@pytest.mark.parametrize(
    ("asked", "expected"), [(True, True), (False, False), ([True, True], True), ([True, False], False)]
)
def test_a_batch_is_restored_in_planes_if_all_of_it_asks(asked, expected):
    volumes = MetaTensor(torch.rand(2, 1, 8, 8, 8), meta={IN_PLANES: torch.tensor(asked)})
    assert is_in_planes(volumes) is expected


def test_a_plain_tensor_is_restored_slice_by_slice():
    assert not is_in_planes(torch.rand(1, 1, 8, 8, 8))


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_a_constant_slice_of_the_stored_plane_stays_as_it_is(slice_axis):
    volume = torch.rand(2, 1, 16, 16, 16)
    volume.select(slice_axis + 2, 3).fill_(0.25)
    volume[1].select(slice_axis + 1, 0).fill_(0.0)
    restored = RestorationSliceInferer(slice_axis, progress=False)(as_scan(volume, True), lambda slices: slices + 1)
    kept = restored.select(slice_axis + 2, 3).as_tensor()
    assert torch.equal(kept, torch.full_like(kept, 0.25))
    first = restored.select(slice_axis + 2, 0).as_tensor()
    assert not first[1].any()
    torch.testing.assert_close(first[0], volume.select(slice_axis + 2, 0)[0] + 1)
