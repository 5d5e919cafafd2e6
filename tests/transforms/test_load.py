import gzip

import itk
import nibabel
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch
from monai.transforms import Compose, DivisiblePadd, Invertd

from bundle.tat.dicom.reader import source_files
from bundle.tat.transforms.load import LoadScand
from tests.helper import assert_same_geometry
from tests.scans import blobs, oblique_affine, write_dicom_series, write_nifti


def load(path):
    return LoadScand("image")({"image": str(path)})["image"]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32, np.float64])
def test_nifti(tmp_path, suffix, dtype):
    volume = blobs((5, 7, 3), 0, 200).astype(dtype)
    image = load(write_nifti(tmp_path / f"a scan{suffix}", volume))
    assert image.dtype is torch.float32
    np.testing.assert_array_equal(image[0].numpy(), volume.astype(np.float32))
    np.testing.assert_allclose(image.affine.numpy(), oblique_affine(), atol=1e-4)


def test_nrrd_has_the_geometry_of_the_same_nifti(tmp_path):
    volume = blobs((5, 7, 3), -100, 200)
    nifti = load(write_nifti(tmp_path / "a.nii.gz", volume))
    itk.imwrite(itk.imread(str(tmp_path / "a.nii.gz"), itk.F), str(tmp_path / "a.nrrd"))
    nrrd = load(tmp_path / "a.nrrd")
    torch.testing.assert_close(nrrd.as_tensor(), nifti.as_tensor())
    np.testing.assert_allclose(nrrd.affine.numpy(), nifti.affine.numpy(), atol=1e-4)


def test_dicom_folder_and_single_file(tmp_path):
    stored = blobs((4, 6, 5), -1000, 1000).astype(np.int16)
    paths = write_dicom_series(tmp_path / "series", stored)
    folder, file = load(tmp_path / "series"), load(paths[0])
    assert folder.shape == (1, 5, 6, 4)
    assert file.shape == (1, 5, 6, 1)
    assert folder.meta["modality"] == file.meta["modality"] == "CT"


def test_a_list_of_dicom_files_is_one_scan(tmp_path):
    stored = blobs((4, 6, 5), -1000, 1000).astype(np.int16)
    paths = write_dicom_series(tmp_path / "series", stored)
    image = LoadScand("image")({"image": [str(path) for path in paths]})["image"]
    assert_same_geometry(image, load(tmp_path / "series"))
    np.testing.assert_array_equal(image[0].numpy(), stored.T)


def test_source_files_survive_a_batch_and_the_way_back(tmp_path):
    paths = write_dicom_series(tmp_path, blobs((4, 6, 5), -1000, 1000).astype(np.int16))
    way = Compose([LoadScand("image"), DivisiblePadd("image", k=8)])
    (batch,) = DataLoader(Dataset([{"image": str(tmp_path), "case": "a"}], way), batch_size=1)
    batch["pred"] = MetaTensor(batch["image"].as_tensor() + 1)
    back = Invertd("pred", transform=way, orig_keys="image", nearest_interp=False)
    (item,) = [back(item) for item in decollate_batch(batch)]
    assert item["pred"].shape == (1, 5, 6, 4)
    assert source_files(item["pred"].meta) == paths
    assert item["case"] == "a"


def test_fourth_dimension_becomes_channels(tmp_path):
    path = tmp_path / "time.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 3, 2), dtype=np.float32), np.eye(4)), path)
    assert load(path).shape == (2, 4, 5, 3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.nii.gz", gzip.compress(b"not a scan", mtime=0), r"cannot read .*broken\.nii\.gz"),
        ("empty.nii", b"", r"cannot read .*empty\.nii"),
        ("broken.nrrd", b"NRRD0004\ntype: nonsense\n\n", r"cannot read .*broken\.nrrd"),
        ("picture.png", b"\x89PNG", "is none of NIfTI"),
        ("text.dcm", b"hello", r"text\.dcm has the name of a DICOM file but is none"),
        ("empty.dcm", b"", r"empty\.dcm is empty"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / name)


def test_complex_nifti_is_refused(tmp_path):
    path = tmp_path / "complex.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.full((4, 5, 3), 3 + 4j, dtype=np.complex64), np.eye(4)), path)
    with pytest.raises(ValueError, match="is complex: pass its magnitude"):
        load(path)


def test_two_dimensional_nrrd_has_a_whole_affine(tmp_path):
    itk.imwrite(itk.GetImageFromArray(np.ones((4, 6), dtype=np.float32)), str(tmp_path / "flat.nrrd"))
    image = load(tmp_path / "flat.nrrd")
    assert image.shape == (1, 6, 4)
    assert image.affine.shape == (4, 4)


def test_truncated_nifti_is_refused(tmp_path):
    path = write_nifti(tmp_path / "cut.nii.gz", blobs((20, 20, 5), 0, 1))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"cannot read .*cut\.nii\.gz"):
        load(path)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        load(tmp_path / "nowhere.nii.gz")
