from pathlib import Path

import pytest
import torch
from monai.data import MetaTensor

from bundle.tat.data.sidecar import Sidecar
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.scale.pet_scale import note_suv_factor, resolve_pet_scale


def image(**fields):
    pet = MetaTensor(torch.zeros(1, 2, 2))
    note_suv_factor(pet, Sidecar(Path("x.json"), fields))
    return pet


def test_a_sidecar_is_silent_until_a_factor_is_asked_for():
    pet = image(Units="CNTS")
    with pytest.raises(RefusedInputError, match="Units are CNTS"):
        resolve_pet_scale(pet, 1.0)
    assert resolve_pet_scale(pet, 0.5) == 0.5


@pytest.mark.parametrize(("fields", "factor"), [({"Units": "SUV"}, 1.0), ({}, 1.0)])
def test_a_file_in_suv_or_without_a_unit_is_taken_as_it_is(fields, factor):
    assert resolve_pet_scale(image(**fields), 1.0) == factor


def test_an_array_without_metadata_is_taken_as_it_is():
    note_suv_factor(torch.zeros(2), Sidecar(Path("x.json"), {"Units": "CNTS"}))
    assert resolve_pet_scale(torch.zeros(2), 1.0) == 1.0
