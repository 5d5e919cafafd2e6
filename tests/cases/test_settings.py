import json

import pytest

from bundle.tat.cases.settings import parse_bool, result_settings


def test_settings_come_back_from_a_record_as_they_were():
    settings = result_settings(modality="PT", pet_scale=1, slice_axis=-3, any_resolution=True, nifti=True, uid_seed=7)
    assert settings == {
        "modality": "PET",
        "mri_scale": "percentile",
        "pet_scale": 1.0,
        "slice_axis": 0,
        "any_resolution": True,
        "data_consistency": False,
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
