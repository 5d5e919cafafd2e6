import json

import pytest

from bundle.tat.cases.settings import parse_bool, parse_weight, result_settings
from bundle.tat.refusal import RefusedInputError


def test_settings_come_back_from_a_record_as_they_were():
    settings = result_settings(modality="PT", pet_scale=1, slice_axis=-3, any_resolution=True, nifti=True, uid_seed=7)
    assert settings == {
        "modality": "PET",
        "mri_scale": "percentile",
        "pet_scale": 1.0,
        "mri_upsample": None,
        "slice_axis": 0,
        "pet_planes": True,
        "any_resolution": True,
        "strength": 1.0,
        "data_consistency": 0.0,
        "consistency_taper": None,
        "amp": False,
        "amp_dtype": None,
        "nifti": True,
        "uid_seed": "7",
        "dicom": "source",
    }
    assert json.loads(json.dumps(settings)) == settings


def test_the_format_of_numbers_counts_where_it_is_used():
    assert result_settings(amp_dtype="float16") == result_settings()
    assert result_settings(amp=True)["amp_dtype"] == "bfloat16"


def test_an_unknown_modality_is_refused_at_once():
    with pytest.raises(ValueError, match="modality 'XR' is not one that TAT restores"):
        result_settings(modality="XR")


@pytest.mark.parametrize(("switch", "expected"), [(True, True), ("false", False), ("True", True), (False, False)])
def test_switches(switch, expected):
    assert parse_bool("nifti", switch) is expected


@pytest.mark.parametrize("switch", ["yes", 1, None])
def test_other_words_are_no_switches(switch):
    with pytest.raises(ValueError, match=r"nifti is .*: pass True or False"):
        parse_bool("nifti", switch)


@pytest.mark.parametrize(
    ("said", "meant"), [(True, 1.0), ("False", 0.0), ("true", 1.0), (0.3, 0.3), ("0.5", 0.5), (1, 1.0), (0, 0.0)]
)
def test_a_weight_is_a_number_or_a_switch(said, meant):
    assert parse_weight("data_consistency", said) == meant


@pytest.mark.parametrize("said", ["maybe", 1.5, -0.1, "nan", None])
def test_other_weights_are_refused(said):
    with pytest.raises(RefusedInputError, match=r"data_consistency is .*: pass a number from 0"):
        parse_weight("data_consistency", said)
