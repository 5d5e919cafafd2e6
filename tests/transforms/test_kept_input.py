from functools import partial

import pytest
import torch
from monai.data import MetaTensor

from bundle.tat.quality.measures import N_SLICES
from bundle.tat.transforms import BlendWithInputd, KeepInputd, KspaceConsistencyd, MeasureQualityd
from bundle.tat.transforms.kept_input import INPUT_KEY, kept_slices, like_restored
from tests.scans import blobs

N_MANY = 5 * N_SLICES


def kept(image, modality="CT", **options):
    return KeepInputd("image", **options)({"image": image, "modality": modality})[INPUT_KEY]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_brief_report_needs_some_slices(axis):
    image = MetaTensor(torch.rand(1, 4, 5, N_MANY).movedim(-1, 1 + axis), affine=torch.eye(4) * 2)
    some = kept(image, slice_axis=axis)
    chosen = kept_slices(some)
    assert len(chosen) == N_SLICES
    assert torch.equal(some.as_tensor(), image.as_tensor().index_select(1 + axis, torch.tensor(chosen)))
    assert torch.equal(some.affine, image.affine)
    assert kept_slices(image) is None


@pytest.mark.parametrize(
    ("shape", "modality", "options"),
    [
        ((1, 4, 5, N_MANY), "CT", {"level": "thorough"}),
        ((1, 4, 5, N_MANY), "PET", {}),
        ((1, 40, 50, 1), "MRI", {"slice_axis": 0}),
    ],
    ids=["thorough report", "hot places", "single slice"],
)
def test_all_of_a_scan_where_all_is_needed(shape, modality, options):
    image = MetaTensor(torch.rand(shape))
    whole = kept(image, modality, **options)
    assert kept_slices(whole) is None
    assert torch.equal(whole.as_tensor(), image.as_tensor())
    image += 1
    assert not torch.equal(whole.as_tensor(), image.as_tensor())


def test_nothing_where_nothing_is_compared():
    assert INPUT_KEY not in KeepInputd("image", level="none")({"image": torch.rand(1, 4, 5, 6), "modality": "PET"})


def test_a_report_on_kept_slices_is_that_on_the_whole_scan():
    image = MetaTensor(torch.from_numpy(blobs((48, 56, N_MANY), -900, 900))[None])
    data = {"image": image, "pred": MetaTensor(image * 0.9), "modality": "CT"}
    some = KeepInputd("image")(data)
    assert kept_slices(some[INPUT_KEY]) is not None
    reports = [MeasureQualityd(image_key=key)(some)["quality"].measures for key in ("image", INPUT_KEY)]
    assert reports[0] == reports[1]
    assert reports[0].n_slices == N_MANY
    assert reports[0].slices


@pytest.mark.parametrize("make", [partial(BlendWithInputd, strength=0.5), KspaceConsistencyd])
@pytest.mark.parametrize("slice_axis", [0, 2])
def test_a_single_slice_that_has_lost_its_third_dimension_again(make, slice_axis):
    image = MetaTensor(torch.from_numpy(blobs((24, 32), 0, 900))[None])
    scan = kept(image.unsqueeze(-1), "MRI", data_consistency=0.5, slice_axis=slice_axis)
    restored = MetaTensor(image * 0.5)
    data = {INPUT_KEY: scan, "image": image, "pred": restored, "modality": "MRI"}
    assert torch.equal(make(image_key=INPUT_KEY)(data)["pred"], make(image_key="image")(data)["pred"])
    assert like_restored(scan, restored).shape == restored.shape
