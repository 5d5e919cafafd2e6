import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.cases.record import CaseRecord, check_replaceable, read_record, write_record
from bundle.tat.file_digest import file_sha256
from bundle.tat.provenance import Provenance

RECORD = CaseRecord(
    case="head",
    modality="CT",
    provenance=Provenance("ab" * 32, "0.1.0"),
    n_outside_network_range=5,
    n_outside_file_range=3,
    unit="HU",
    settings={"mri_scale": "percentile", "slice_axis": -1, "amp": False},
)
SETTINGS = st.dictionaries(
    st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
)


@given(
    case=st.text(), weights=st.none() | st.text(), counts=st.tuples(st.integers(0), st.integers(0)), settings=SETTINGS
)
def test_what_is_written_is_read(tmp_path_factory, case, weights, counts, settings):
    folder = tmp_path_factory.mktemp("case")
    made_by = Provenance(weights, "0.1.0")
    of_network, of_file = counts
    record = replace(
        RECORD,
        kspace_kept=(0.25, None) if of_file % 2 else (),
        in_planes=of_file % 2 == 0,
        case=case,
        provenance=made_by,
        n_outside_network_range=of_network,
        n_outside_file_range=of_file,
        settings=settings,
    )
    write_record(folder, record)
    assert read_record(folder) == record


def test_the_file_is_for_people_too(tmp_path):
    write_record(tmp_path, RECORD)
    content = json.loads((tmp_path / "restoration.json").read_text())
    counts = ["n_outside_network_range", "n_outside_file_range"]
    assert list(content) == [
        "case",
        "modality",
        "version",
        "weights_sha256",
        *counts,
        "unit",
        "assumptions",
        "in_planes",
        "settings",
    ]
    assert (content["version"], content["weights_sha256"]) == ("0.1.0", "ab" * 32)
    assert content["settings"]["slice_axis"] == -1
    assert [path.name for path in tmp_path.iterdir()] == ["restoration.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"case": "head"}', '{"settings": 1}', "\0"])
def test_what_is_no_record_is_none(tmp_path, text):
    assert read_record(tmp_path / "nowhere") is None
    (tmp_path / "restoration.json").write_text(text)
    assert read_record(tmp_path) is None


def test_hash_of_a_file(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "model.pt").write_bytes(content)
    assert file_sha256(tmp_path / "model.pt") == hashlib.sha256(content).hexdigest()
    with pytest.raises(ValueError, match=r"cannot read .*other\.pt: No such file"):
        file_sha256(tmp_path / "other.pt")


@pytest.mark.parametrize("names", [[], ["head_restored.nii.gz"], ["restoration.json", "IM0001.dcm", "notes.txt"]])
def test_an_earlier_result_may_be_replaced(tmp_path, names):
    folder = tmp_path / "head"
    check_replaceable(folder, [tmp_path / "head.nii.gz"])
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    check_replaceable(folder, [tmp_path / "head.nii.gz"])


@pytest.mark.parametrize("name", ["slice.dcm", "other_restored.nii.gz"])
def test_anything_else_may_not(tmp_path, name):
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / name).touch()
    with pytest.raises(ValueError, match=f"holds {name}, which is no result"):
        check_replaceable(tmp_path / "head", [tmp_path / "head.nii.gz"])


@pytest.mark.parametrize("source", ["out/head", "out/head/1.dcm", "out/../out/head/1.dcm"])
def test_a_scan_is_not_replaced_by_its_own_result(tmp_path, source):
    (tmp_path / "out" / "head").mkdir(parents=True)
    (tmp_path / "out" / "head" / "restoration.json").touch()
    with pytest.raises(ValueError, match="would be replaced by its own result: pass another output_dir"):
        check_replaceable(tmp_path / "out" / "head", [tmp_path / source])
