import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from bundle.tat.transforms.volume import EnsureScalarVolumed, iter_chunks
from tests.helper import assert_round_trip
from tests.scans import oblique_affine


@given(shape=st.lists(st.integers(1, 7), min_size=2, max_size=3))
def test_there_and_back(shape):
    transform = EnsureScalarVolumed("image")
    assert_round_trip(
        lambda x: transform({"image": x})["image"],
        lambda x: transform.inverse({"image": x})["image"],
        MetaTensor(torch.rand(1, *shape), affine=oblique_affine()),
    )


def test_a_slice_becomes_a_volume():
    assert EnsureScalarVolumed("image")({"image": MetaTensor(torch.rand(1, 4, 5))})["image"].shape == (1, 4, 5, 1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused(bad):
    image = torch.zeros(1, 4, 5, 2)
    image[0, 1, 2, 0] = bad
    with pytest.raises(ValueError, match="1 of 40 voxels are NaN or infinite"):
        EnsureScalarVolumed("image")({"image": MetaTensor(image)})


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (1, 4), (1, 2, 3, 4, 5)])
def test_more_or_fewer_dimensions_are_refused(shape):
    with pytest.raises(ValueError, match="pass one scalar volume at a time"):
        EnsureScalarVolumed("image")({"image": MetaTensor(torch.zeros(*shape))})


def test_an_empty_image_is_refused():
    with pytest.raises(ValueError, match="has no voxels"):
        EnsureScalarVolumed("image")({"image": MetaTensor(torch.zeros(1, 4, 0, 2))})


@pytest.mark.parametrize("shape", [(1,), (3, 5), (1, 2100, 2100, 1), (1, 7, 5, 3)], ids=str)
def test_slabs_are_all_of_an_image_and_share_its_memory(shape):
    image = MetaTensor(torch.rand(shape))
    parts = iter_chunks(image)
    assert torch.equal(torch.cat(parts), image.as_tensor().flatten())
    assert not any(isinstance(part, MetaTensor) for part in parts)
    parts[-1][-1] = 2
    assert image.as_tensor().flatten()[-1] == 2
