"""CT values that cannot be Hounsfield units."""

from __future__ import annotations

import pytest
import torch

from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.plausibility import MIN_VOXELS_WITH_AIR, check_plausible_hu


@pytest.fixture
def stored():
    """Values as they are stored, 1024 above HU: 0 is air."""
    return torch.linspace(0.0, 2000.0, MIN_VOXELS_WITH_AIR).reshape(1, 128, 128)


def test_values_without_their_intercept_are_refused(stored):
    with pytest.raises(RefusedInputError, match="none of 16384 voxels is below 0 HU"):
        check_plausible_hu(stored)


def test_hounsfield_units_pass(stored):
    check_plausible_hu(stored - 1024.0)


def test_a_crop_out_of_an_organ_passes(stored):
    check_plausible_hu(stored[:, 1:] + 40.0)


def test_nothing_passes():
    check_plausible_hu(torch.zeros(1, 128, 128))
