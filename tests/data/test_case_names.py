import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.tat.data.case_names import name_apart
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
        (
            [{"image": "a/x.nii", "case": "z"}, {"image": "y.nii", "case": "z"}],
            "a/x.nii and y.nii are both named z: rename one",
        ),
        ([{"label": "a/x.nii"}], "has no 'image'"),
        ([{"image": ""}], "has no 'image'"),
    ],
)
def test_scans_without_a_name_of_their_own_are_refused(items, message):
    with pytest.raises(RefusedInputError, match=message):
        name_cases(items)


@pytest.mark.parametrize(
    ("items", "names"),
    [
        ([{"image": "a/x.nii"}, {"image": "a/x.nii.gz"}], ["x", "x_2"]),
        ([{"image": "a/x.nii"}, {"image": "y.nii", "case": "x"}], ["x_2", "x"]),
        ([{"image": "a/x.nii"}, {"image": "a/x.nrrd"}, {"image": "z.nii", "case": "x_2"}], ["x", "x_3", "x_2"]),
        (
            [{"image": f"{path}.nii"} for path in ("p/a/b_c", "q/b_c", "p/a_b/c", "q/c")],
            ["p_a_b_c", "q_b_c", "p_a_b_c_2", "q_c"],
        ),
    ],
)
def test_a_clash_of_names_stops_nothing(items, names):
    assert [item["case"] for item in name_cases(items)] == names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/d/sub-01/T1w", "/d/sub-02/T1w"], ["sub-01_T1w", "sub-02_T1w"]),
        (["/d/sub-01/sub-01_T1w", "/d/sub-02/sub-02_T1w"], ["sub-01_T1w", "sub-02_T1w"]),
        (["/d/x", "/d/a/x"], ["x", "a_x"]),
        (["/d/1/a/x", "/d/2/a/x", "/d/2/b/x", "/d/y"], ["1_a_x", "2_a_x", "b_x", "y"]),
        (["/d/p/a/b_x", "/d/q/b_x", "/d/a_b/x", "/d/c/x"], ["p_a_b_x", "q_b_x", "a_b_x", "c_x"]),
    ],
)
def test_a_name_has_as_many_folders_as_it_needs(paths, names):
    assert name_apart([Path(path) for path in paths]) == names


def path_sets(characters: str) -> st.SearchStrategy[list[tuple[str, ...]]]:
    part = st.text(characters, min_size=1, max_size=3)
    return st.sets(st.lists(part, min_size=1, max_size=4).map(tuple), min_size=1, max_size=12).map(sorted)


@given(path_sets("ab-."), st.sampled_from(["/", "/data/one", "/a/b"]), st.randoms())
@settings(max_examples=100, deadline=None)
def test_names_are_kept_apart_in_any_order(parts, root, order):
    paths = [Path("/", root, *(f"n{part}" for part in one)) for one in parts]
    names = dict(zip(paths, name_apart(paths), strict=True))
    assert len(set(names.values())) == len(paths)
    assert not [name for name in names.values() if "/" in name or Path(name).name != name]
    assert all("_".join(path.parts).endswith(name) for path, name in names.items())
    shuffled = random.Random(order.random()).sample(paths, len(paths))  # noqa: S311 - no secret
    assert dict(zip(shuffled, name_apart(shuffled), strict=True)) == names
    moved = [Path("/elsewhere", *path.parts[1:]) for path in paths]
    assert name_apart(moved) == list(names.values()), "names do not depend on where the folder lies"


@given(path_sets("ab_"))
@settings(max_examples=100, deadline=None)
def test_names_that_run_together_are_refused_and_no_others(parts):
    items = [{"image": "/".join(("/d", *one)) + ".nii"} for one in parts]
    runs_together = any("_".join(one).endswith("_".join(other)) for one, other in itertools.permutations(parts, 2))
    refusal = ""
    try:
        cases = [item["case"] for item in name_cases(items)]
    except RefusedInputError as error:
        cases, refusal = [], str(error)
    if refusal:
        assert runs_together
        assert "rename one" in refusal
    else:
        assert len(set(cases)) == len(parts)
