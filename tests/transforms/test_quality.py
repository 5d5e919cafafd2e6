"""What is measured of a restored scan, by the transform that the runs use."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from bundle.tat.metrics.regions import smoothed
from bundle.tat.transforms.quality import DISAGREEMENT_KEY, MeasureQualityd
from tests.quality.helper import anatomy


def measured(volume, modality, affine=None, **entries):
    image = MetaTensor(torch.from_numpy(volume)[None], affine=torch.eye(4) if affine is None else affine)
    slice_axis = entries.pop("slice_axis", -1)
    data = {"image": image, "pred": image.clone(), "modality": modality, **entries}
    return MeasureQualityd(level="thorough", slice_axis=slice_axis)(data)["quality"].measures


def test_disagreement_is_told_of_the_body_not_of_the_air_around_it():
    slice_ = anatomy()
    reached = smoothed(slice_, 2.0) > -999.9
    assert reached.mean() < 0.9
    spread = np.where(reached, 0.01, 0.0).astype(np.float32)
    padded = np.pad(spread, ((0, 8), (0, 8)), constant_values=0.5)
    told = measured(slice_[:, :, None], "CT", **{DISAGREEMENT_KEY: {0: padded}}).disagreement
    width = measured(slice_[:, :, None], "CT", **{DISAGREEMENT_KEY: {0: np.ones_like(padded)}}).disagreement
    assert told == pytest.approx(0.01 * width)


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_a_hot_place_is_told_by_indices_of_the_volume(slice_axis):
    volume = np.zeros((20, 16, 12), np.float32)
    volume[5, 7, 9] = 8.0
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0]))
    measures = measured(volume, "PET", affine, slice_axis=slice_axis)
    assert measures.places[0].voxel == (5, 7, 9)
    # A sphere of 1 ml, whose radius is 6.2 mm, holds fewer voxels of 3 and 4 mm than of 2 mm.
    grids = np.ogrid[:20, :16, :12]
    sides = zip(grids, (5, 7, 9), (2.0, 3.0, 4.0), strict=True)
    inside = sum(((grid - middle) * side) ** 2 for grid, middle, side in sides) <= 6.2035**2
    assert measures.places[0].suv_peak[0] == pytest.approx(8.0 / inside.sum())
    assert measures.activity[0] == pytest.approx(8.0 * 24.0 / 1000.0)
