import json

import pytest
from pydicom.uid import BasicTextSRStorage

from bundle.tat.data.datalist import find_scans, read_datalist
from bundle.tat.formats import case_name
from tests.scans import blobs, edit_dicom, write_dicom_series, write_nifti


@pytest.fixture
def volume():
    return blobs((4, 5, 3), 0, 100)


def names(path, **options):
    return [item["image"].rsplit("/", 1)[-1] for item in find_scans(str(path), **options).items]


def test_a_file_is_itself(tmp_path, volume):
    assert names(write_nifti(tmp_path / "a b.nii.gz", volume)) == ["a b.nii.gz"]


def test_a_folder_is_its_volumes_in_order(tmp_path, volume):
    for name in ("b.nii", "a.nii.gz", "c.nrrd", ".hidden.nii", "notes.txt"):
        write_nifti(tmp_path / "x.nii", volume).rename(tmp_path / name)
    assert names(tmp_path) == ["a.nii.gz", "b.nii", "c.nrrd"]


def test_a_dicom_folder_is_one_scan_and_a_study_is_its_series(tmp_path, volume):
    for series in ("first", "second"):
        write_dicom_series(tmp_path / "study" / series, volume)
    assert names(tmp_path / "study" / "first") == ["first"]
    assert names(tmp_path / "study") == ["first", "second"]


def test_a_datalist_is_its_section(tmp_path, volume):
    write_nifti(tmp_path / "images" / "a.nii.gz", volume)
    entry = {"image": "images/a.nii.gz", "modality": "CT"}
    (tmp_path / "list.json").write_text(json.dumps({"testing": [entry], "training": []}))
    assert find_scans(str(tmp_path / "list.json")).items == [
        {"image": str(tmp_path / "images" / "a.nii.gz"), "modality": "CT", "case": "a"}
    ]
    with pytest.raises(ValueError, match=r"section 'training' .* is empty"):
        find_scans(str(tmp_path / "list.json"), section="training")
    with pytest.raises(ValueError, match=r"has no section 'validation': pass one of \['testing', 'training'\]"):
        find_scans(str(tmp_path / "list.json"), section="validation")


def test_clean_scans_alone_are_listed_where_they_are_asked_for(tmp_path, volume):
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps({"training": [{"label": str(write_nifti(tmp_path / "a.nii.gz", volume))}]}))
    assert [item.keys() for item in read_datalist(str(listed), "training", keys=["label"])] == [{"label"}]
    with pytest.raises(ValueError, match="an entry without 'image'"):
        read_datalist(str(listed), "training")


def test_every_missing_file_of_a_datalist_is_named(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps({"testing": [{"image": "a.nii", "label": "b.nii"}]}))
    with pytest.raises(ValueError, match=r"2 files .* do not exist: .*a\.nii, .*b\.nii"):
        read_datalist(str(tmp_path / "list.json"), "testing")


def test_a_broken_datalist_is_refused(tmp_path):
    (tmp_path / "list.json").write_text("{")
    with pytest.raises(ValueError, match="cannot read the datalist"):
        find_scans(str(tmp_path / "list.json"))


def test_refusals(tmp_path, volume):
    with pytest.raises(ValueError, match="does not exist: pass a scan"):
        find_scans(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="holds no NIfTI, NRRD or DICOM scan"):
        find_scans(str(tmp_path))
    write_nifti(tmp_path / "a.nii.gz", volume)
    write_dicom_series(tmp_path, volume)
    with pytest.raises(ValueError, match="and DICOM: put one kind in another folder"):
        find_scans(str(tmp_path))


@pytest.mark.parametrize(
    ("file", "name"), [("a.b.nii.gz", "a.b"), ("A.NII", "A"), ("x.nrrd", "x"), ("1.2.3", "1.2.3"), (".nii", ".nii")]
)
def test_case_name(tmp_path, file, name):
    assert case_name(tmp_path / file) == name


def test_an_entry_without_an_image_is_refused(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps({"testing": [{"label": "a.nii"}]}))
    with pytest.raises(ValueError, match="has an entry without 'image'"):
        find_scans(str(tmp_path / "list.json"))


def test_folders_without_images_are_no_scans(tmp_path, volume):
    """A study from an archive: a DICOMDIR on top, series below, a report without pixels."""
    series = write_dicom_series(tmp_path / "a" / "series", volume)
    (tmp_path / "report").mkdir()
    report = (tmp_path / "report" / "sr.dcm", tmp_path / "DICOMDIR")
    for path in report:
        path.write_bytes(series[0].read_bytes())
        edit_dicom(path, SOPClassUID=BasicTextSRStorage, Rows=None, Columns=None, PixelData=None)
    write_dicom_series(tmp_path / "top", volume)
    assert names(tmp_path) == ["series", "top"]


def test_paths_are_made_whole(tmp_path, volume, monkeypatch):
    """`..` must not become the name of a scan, and so of a file outside the output folder."""
    write_dicom_series(tmp_path / "series" / "inner", volume)
    (tmp_path / "series" / "inner" / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "series" / "inner" / "deeper")
    assert names("..") == ["inner"]


def test_a_folder_named_by_a_number(tmp_path, volume, monkeypatch):
    write_dicom_series(tmp_path / "2024", volume)
    monkeypatch.chdir(tmp_path)
    assert [item["image"] for item in find_scans(2024).items] == [str(tmp_path / "2024")]


def cases(path):
    return [(item["case"], item["image"]) for item in find_scans(str(path)).items]


def test_every_scan_has_the_name_of_its_case(tmp_path, volume):
    write_nifti(tmp_path / "nifti" / "a.nii.gz", volume)
    assert cases(tmp_path / "nifti") == [("a", str(tmp_path / "nifti" / "a.nii.gz"))]
    path = write_dicom_series(tmp_path / "dicom", volume)[0]
    assert cases(tmp_path / "dicom") == [("dicom", str(tmp_path / "dicom"))]
    assert cases(path) == [("0003", str(path))]


def test_series_that_share_a_folder_are_lists_of_files_named_by_their_numbers(tmp_path, volume):
    for number, name in ((2, "b"), (5, "a")):
        for path in write_dicom_series(tmp_path / name, volume, series_uid=f"1.2.{number}", SeriesNumber=number):
            path.rename(tmp_path / f"{name}{path.name}")
        (tmp_path / name).rmdir()
    files = sorted(str(path) for path in tmp_path.iterdir())
    assert cases(tmp_path) == [(f"{tmp_path.name}_2", files[4:]), (f"{tmp_path.name}_5", files[:4])]


def test_series_with_faults_are_items_and_what_is_skipped_is_told(tmp_path, volume, caplog):
    write_dicom_series(tmp_path / "gap", volume)[1].unlink()
    write_dicom_series(tmp_path / "us", volume, modality="US")
    assert [case for case, _ in cases(tmp_path)] == ["gap"]
    assert caplog.messages == ["skipped us (images: 4): modality 'US' is not one that TAT restores: CT, MRI, PET"]


def test_a_study_without_anything_to_restore_says_why(tmp_path, volume):
    write_dicom_series(tmp_path / "us", volume, modality="US")
    message = "holds no NIfTI, NRRD or DICOM scan that can be restored; us: modality 'US' is not one that TAT restores"
    with pytest.raises(ValueError, match=message):
        find_scans(str(tmp_path))


def test_folders_of_one_name_are_told_apart(tmp_path, volume):
    """As media have them: PA1/ST1/SE1 and PA2/ST1/SE1."""
    for number, patient in enumerate(("a", "b")):
        write_dicom_series(tmp_path / patient / "st" / "series", volume, series_uid=f"1.2.{number}")
    write_dicom_series(tmp_path / "c", volume, series_uid="1.2.9")
    assert [case for case, _ in cases(tmp_path)] == ["a_st_series", "b_st_series", "c"]
