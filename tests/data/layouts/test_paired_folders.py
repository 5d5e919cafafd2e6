import pytest

from bundle.tat.data.layouts.paired_folders import pair_folders
from bundle.tat.refusal import RefusedInputError
from tests.scans import blobs, write_dicom_series, write_nifti


@pytest.fixture
def volume():
    return blobs((5, 6, 3), 0, 100)


def write_pair(folder, name, volume):
    for side in ("LQ", "HQ"):
        write_nifti(folder / side / name, volume)


def test_one_folder_of_pairs(tmp_path, volume):
    for name in ("b.nii.gz", "a.nii"):
        write_pair(tmp_path, name, volume)
    low, high = tmp_path / "LQ", tmp_path / "HQ"
    assert pair_folders(str(tmp_path), "mr") == [
        {"image": str(low / "a.nii"), "label": str(high / "a.nii"), "modality": "MRI"},
        {"image": str(low / "b.nii.gz"), "label": str(high / "b.nii.gz"), "modality": "MRI"},
    ]
    assert "modality" not in pair_folders(str(tmp_path))[0]


def test_folders_of_modalities_and_sections(tmp_path, volume):
    for section in ("training", "validation"):
        for modality in ("CT", "MR", "pet"):
            write_pair(tmp_path / section / modality, f"{modality}.nii.gz", volume)
        (tmp_path / section / "notes").mkdir()
    items = pair_folders(str(tmp_path), section="validation")
    assert [item["modality"] for item in items] == ["CT", "MRI", "PET"]
    assert all("/validation/" in item["image"] for item in items)
    assert [item["modality"] for item in pair_folders(str(tmp_path), "PET", "training")] == ["PET"]


def test_dicom_series_are_paired_by_their_folders(tmp_path, volume):
    for side in ("LQ", "HQ"):
        for patient in ("p2", "p1"):
            write_dicom_series(tmp_path / side / patient, volume)
    items = pair_folders(str(tmp_path))
    assert [item["image"].rsplit("/", 2)[1:] for item in items] == [["LQ", "p1"], ["LQ", "p2"]]
    assert [item["label"].rsplit("/", 2)[1:] for item in items] == [["HQ", "p1"], ["HQ", "p2"]]


def test_every_unpaired_scan_is_named_at_once(tmp_path, volume):
    write_pair(tmp_path / "CT", "both.nii.gz", volume)
    write_pair(tmp_path / "MRI", "both.nii.gz", volume)
    write_nifti(tmp_path / "CT" / "LQ" / "low.nii.gz", volume)
    write_nifti(tmp_path / "MRI" / "HQ" / "high.nii.gz", volume)
    with pytest.raises(
        RefusedInputError, match=r"2 scans have no partner .*LQ/low\.nii\.gz, .*HQ/high\.nii\.gz; add the"
    ):
        pair_folders(str(tmp_path))


def test_refusals(tmp_path, volume):
    with pytest.raises(RefusedInputError, match="is no folder"):
        pair_folders(str(tmp_path / "nowhere"))
    with pytest.raises(RefusedInputError, match="LQ does not exist"):
        pair_folders(str(tmp_path))
    write_pair(tmp_path / "CT", "a.nii.gz", volume)
    with pytest.raises(RefusedInputError, match="has no folder for PET: pass one of CT"):
        pair_folders(str(tmp_path), "PET")
    with pytest.raises(RefusedInputError, match="modality 'US' is not one"):
        pair_folders(str(tmp_path), "US")
