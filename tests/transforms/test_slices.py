import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.slices import CentralSlicesd, MiddleSliced, SlicesAsChannelsd
from tests.scans import oblique_affine


def volume(depth):
    return MetaTensor(torch.rand(1, 4, 5, depth), affine=oblique_affine())


@given(depth=st.integers(1, 12), n_slices=st.integers(1, 12))
def test_as_many_are_left_out_at_either_end_and_voxels_stay_in_place(depth, n_slices):
    image = volume(depth)
    data = {"image": image, "label": image, "n_slices": n_slices}
    transform = CentralSlicesd(["image", "label"])
    if n_slices > depth:
        with pytest.raises(RefusedInputError, match=f"for a volume of {depth} slices: pass 1 to {depth}"):
            transform(data)
        return
    kept = transform(data)["label"]
    first = (depth - n_slices + 1) // 2
    assert torch.equal(kept.as_tensor(), image.as_tensor()[..., first : first + n_slices])
    assert 0 <= first - (depth - n_slices - first) <= 1
    index = torch.tensor([1.0, 2, 0, 1], dtype=torch.float64)
    torch.testing.assert_close(kept.affine @ index, image.affine @ (index + torch.tensor([0, 0, first, 0])))
    torch.testing.assert_close(image.affine, volume(1).affine)


def test_the_papers_hundred_of_an_ixi_volume():
    image = volume(130)
    assert torch.equal(CentralSlicesd("image")({"image": image, "n_slices": 100})["image"], image[..., 15:115])


def test_without_a_number_all_are_kept_and_missing_keys_are_skipped():
    image = volume(3)
    assert CentralSlicesd("image")({"image": image})["image"] is image
    assert set(CentralSlicesd(["image", "label"], allow_missing_keys=True)({"label": image, "n_slices": 1})) == {
        "label",
        "n_slices",
    }


def test_none_is_refused():
    with pytest.raises(RefusedInputError, match="n_slices is 0 for a volume of 3 slices"):
        CentralSlicesd("image")({"image": volume(3), "n_slices": 0})


@given(n_slices=st.integers(0, 3).map(lambda around: 1 + 2 * around))
def test_the_middle_slice_of_a_crop_is_what_is_left(n_slices):
    crop = torch.rand(1, 4, 5, n_slices)
    turned = SlicesAsChannelsd("label")({"label": crop})
    assert torch.equal(turned["label"], torch.stack([crop[0, ..., index] for index in range(n_slices)]))
    assert torch.equal(MiddleSliced("label")(turned)["label"], crop[..., n_slices // 2])
