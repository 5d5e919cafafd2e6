import numpy as np
import pytest

from bundle.tat.data.layouts.aapm import list_aapm
from bundle.tat.data.layouts.check_pairs import check_pairs
from bundle.tat.refusal import RefusedInputError
from tests.scans import write_dicom_series

PATIENTS = ("L067", "L096", "L109", "L143", "L506")


def write_series(folder):
    for number, path in enumerate(write_dicom_series(folder, np.zeros((3, 4, 5), dtype=np.int16), intercept=-1024)):
        path.rename(folder / f"{folder.parent.name}.CT.{number}.IMA")


@pytest.fixture
def root(tmp_path):
    for patient in PATIENTS:
        for dose in ("full", "quarter"):
            write_series(tmp_path / f"{dose}_3mm" / patient / f"{dose}_3mm")
    (tmp_path / "full_3mm" / "readme.txt").write_text("not a scan")
    return tmp_path


def test_patients_are_split(root):
    listed = {section: list_aapm(str(root), section) for section in ("training", "validation", "testing")}
    patients = {section: [item["image"].split("/")[-2] for item in items] for section, items in listed.items()}
    assert patients == {"training": ["L067", "L096", "L143"], "validation": ["L109"], "testing": ["L506"]}
    for item in listed["training"]:
        assert item["modality"] == "CT"
        assert item["label"] == item["image"].replace("quarter", "full")
    assert [item["n_slices"] for item in check_pairs(listed["training"])] == [3, 3, 3]


def test_other_orders_of_folders(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for patient in PATIENTS:
        for dose in ("FULL dose", "Quarter dose"):
            write_series(other / patient / dose / "series 1")
    assert [item["image"].split("/")[-3] for item in list_aapm(str(other), "testing")] == ["L506"]


def test_one_of_several_series(root):
    for patient in PATIENTS:
        for dose in ("full", "quarter"):
            write_series(root / f"{dose}_1mm" / patient / f"{dose}_1mm")
    with pytest.raises(RefusedInputError, match="are both quarter dose of L067: name one with series, such as 3mm"):
        list_aapm(str(root), "training")
    assert all("_1mm/" in item["label"] for item in list_aapm(str(root), "training", series="1mm"))


def test_refusals(root):
    with pytest.raises(RefusedInputError, match="section is 'test'"):
        list_aapm(str(root), "test")
    with pytest.raises(RefusedInputError, match="holds no pair of full and quarter dose series for training"):
        list_aapm(str(root), "training", series="2mm")
    write_series(root / "full_3mm" / "L192" / "full_3mm")
    write_series(root / "quarter_3mm" / "L333" / "quarter_3mm")
    with pytest.raises(RefusedInputError, match=r"2 scans have no partner.*L192/full_3mm, .*L333/quarter_3mm"):
        list_aapm(str(root), "testing")
