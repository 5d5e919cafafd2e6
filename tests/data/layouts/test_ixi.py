import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.data.layouts.ixi import SPLIT, list_ixi, split_subjects
from bundle.tat.refusal import RefusedInputError


def subjects(n):
    return {f"IXI{number:03d}" for number in range(n)}


def test_the_papers_sizes():
    assert {section: len(chosen) for section, chosen in split_subjects(subjects(578)).items()} == SPLIT


@given(n=st.integers(0, 700), seed=st.integers(0, 5))
def test_sections_are_disjoint_complete_and_in_proportion(n, seed):
    split = split_subjects(subjects(n), seed=seed)
    assert sum(map(len, split.values())) == n
    assert set().union(*split.values()) == subjects(n)
    for section, size in SPLIT.items():
        assert abs(len(split[section]) - n * size / 578) <= 1


def test_the_split_never_changes():
    """Results are compared across machines and years: the split must be theirs too."""
    split = split_subjects(subjects(12))
    assert sorted(split["testing"]) == ["IXI002", "IXI011"]
    assert split != split_subjects(subjects(12), seed=1)


@pytest.fixture
def root(tmp_path):
    for number in range(10):
        for kind in ("T1", "T2", "PD"):
            (tmp_path / f"IXI{number:03d}-HH-{1211 + number}-{kind}.nii.gz").touch()
    (tmp_path / "IXI003-Guys-0700-T2.nii").touch()  # a second volume of a subject
    (tmp_path / "IXI.xls").touch()
    return tmp_path


def test_t2_volumes_by_subject(root):
    listed = {section: list_ixi(str(root), section) for section in SPLIT}
    names = {section: {item["label"].rsplit("/", 1)[1] for item in items} for section, items in listed.items()}
    assert sum(map(len, names.values())) == 11
    assert all("T2" in name for section in names.values() for name in section)
    people = [{name[:6] for name in section} for section in names.values()]
    assert [len(section) for section in people] == [7, 1, 2]
    assert not people[0] & people[1]
    assert not (people[0] | people[1]) & people[2]
    item = listed["training"][0]
    assert item == {"label": item["label"], "modality": "MRI", "n_slices": 100}
    assert [item["label"] for item in listed["training"]] == sorted(item["label"] for item in listed["training"])


def test_refusals(root, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(RefusedInputError, match="holds no volume named like"):
        list_ixi(str(empty), "training")
    with pytest.raises(RefusedInputError, match="holds no volume named like"):
        list_ixi(str(empty / "nowhere"), "training")
    with pytest.raises(RefusedInputError, match="section is 'test'"):
        list_ixi(str(root), "test")
    (empty / "IXI002-Guys-0828-T2.nii.gz").touch()
    with pytest.raises(RefusedInputError, match="holds 1 subjects, and none is left for validation"):
        list_ixi(str(empty), "validation")
