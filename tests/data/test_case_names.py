from pathlib import Path

import pytest

from bundle.tat.data.datalist import name_cases
from bundle.tat.refusal import RefusedInputError


def test_each_scan_is_named_by_its_path_unless_it_has_a_name():
    items = [
        {"image": "in/head.nii.gz", "modality": "MRI"},
        {"image": Path("series 4")},
        {"image": ["study/CT_2/1.dcm", "study/CT_2/2.dcm"]},
        {"image": "in/neck.nii", "case": "first"},
        {"image": "in/chest.nii", "case": ""},
    ]
    named = name_cases(items)
    assert [item["case"] for item in named] == ["head", "series 4", "CT_2", "first", "chest"]
    assert named[0]["modality"] == "MRI"
    assert "case" not in items[0]
    assert name_cases(named) == named


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([{"image": "a/x.nii"}, {"image": "b/x.nii.gz"}], "a/x.nii and b/x.nii.gz are both named x: rename one"),
        ([{"image": "a/x.nii"}, {"image": "y.nii", "case": "x"}], "both named x"),
        ([{"label": "a/x.nii"}], "has no 'image'"),
        ([{"image": ""}], "has no 'image'"),
    ],
)
def test_scans_without_a_name_of_their_own_are_refused(items, message):
    with pytest.raises(RefusedInputError, match=message):
        name_cases(items)
