import json

import pytest
import torch
from monai.data import MetaTensor

from bundle.tat.transforms.padding import SetPaddingAsided, set_aside


def image_with(ranges, values):
    return MetaTensor(torch.tensor([[values]]).unsqueeze(-1), meta={"padding": json.dumps(ranges)})


@pytest.mark.parametrize(
    ("modality", "filled"),
    [("CT", -900.0), ("PET", 0.0)],
    ids=["the lowest value of the anatomy", "the lowest value of the range"],
)
def test_padding_is_unseen_and_comes_back(modality, filled):
    image = image_with([[-3024.0, -3024.0], [4000.0, 4001.0]], [-3024.0, -900.0, 40.0, 4000.5, 3999.0])
    transform = SetPaddingAsided("image")
    seen = transform({"image": image, "modality": modality})["image"]
    assert seen.as_tensor().flatten().tolist() == [filled, -900.0, 40.0, filled, 3999.0]
    assert seen.meta["n_padding"] == 2

    changed = seen + 1
    changed.copy_meta_from(seen)
    back = transform.inverse({"image": changed})["image"]
    assert back.as_tensor().flatten().tolist() == [-3024.0, -899.0, 41.0, 4000.5, 4000.0]
    assert not back.applied_operations
    assert image.as_tensor().flatten()[0] == -3024.0


@pytest.mark.parametrize("meta", [{}, {"padding": "[]"}])
def test_without_declared_padding_nothing_changes(meta):
    image = MetaTensor(torch.rand(1, 3, 4, 2), meta=meta)
    transform = SetPaddingAsided("image")
    seen = transform({"image": image, "modality": "CT"})["image"]
    assert seen.data_ptr() == image.data_ptr()
    assert "n_padding" not in seen.meta
    assert torch.equal(transform.inverse({"image": seen})["image"], image)


def test_an_image_of_nothing_but_padding_stays_as_it_is():
    image = image_with([], [5.0, 5.0])
    seen, padding = set_aside(image, [(5.0, 5.0)], 0.0)
    assert torch.equal(seen, image)
    assert padding.n_voxels == 0


def test_in_place_the_bits_are_the_same():
    values = [-3024.0, -900.0, 40.0, 4000.5, 3999.0]
    images = [image_with([[-3024.0, -3024.0]], values) for _ in range(2)]
    ways = [SetPaddingAsided("image"), SetPaddingAsided("image", in_place=True)]
    seen = [way({"image": image, "modality": "CT"})["image"] for way, image in zip(ways, images, strict=True)]
    assert torch.equal(seen[0].as_tensor(), seen[1].as_tensor())
    assert seen[1].data_ptr() == images[1].data_ptr()
    back = [way.inverse({"image": image})["image"] for way, image in zip(ways, seen, strict=True)]
    assert torch.equal(back[0].as_tensor(), back[1].as_tensor())
    assert back[1].data_ptr() == images[1].data_ptr()
