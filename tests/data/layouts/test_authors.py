import pickle

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch

from bundle.tat.data.layouts.authors import PickledSliceReader, list_reference
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.load import LoadScand
from tests.scans import blobs


def write_pickle(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(values))
    return path


def write_slice(path, values):
    """As the authors do: SimpleITK, rows first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path))
    return path


@pytest.fixture
def root(tmp_path):
    for modality in ("PET", "CT", "MRI"):
        for side in ("LQ", "HQ"):
            for number in range(3):
                values = blobs((7, 9), 0, 10, seed=number)
                write_pickle(tmp_path / modality / "train" / side / f"{number}.bin", torch.from_numpy(values)[None])
                for section in ("validation", "test"):
                    write_slice(tmp_path / modality / section / side / f"{number}.nii", values)
    return tmp_path


def load(path):
    return LoadScand("image")({"image": str(path)})["image"]


@pytest.mark.parametrize(("section", "suffix"), [("training", "bin"), ("validation", "nii"), ("testing", "nii")])
def test_sections(root, section, suffix):
    items = list_reference(str(root), section)
    assert len(items) == 9
    assert {item["modality"] for item in items} == {"CT", "MRI", "PET"}
    for item in items:
        assert item["n_slices"] == 1
        assert item["image"].replace("/LQ/", "/HQ/") == item["label"]
        assert f"/{item['modality']}/" in item["image"]
        assert item["image"].endswith(suffix)
        assert load(item["image"]).shape == (1, 9, 7)


def test_modalities_and_numbers(root):
    items = list_reference(str(root), "validation", modalities=["CT"], n_each=2)
    assert [item["image"].rsplit("/", 4)[1:] for item in items] == [
        ["CT", "validation", "LQ", "0.nii"],
        ["CT", "validation", "LQ", "1.nii"],
    ]
    assert len(list_reference(str(root), "validation", n_each=99)) == 9


def test_both_formats_of_a_slice_lie_alike(tmp_path):
    values = blobs((7, 9), -1000, 1000)
    pickled = load(write_pickle(tmp_path / "a.bin", torch.from_numpy(values)[None]))
    nifti = load(write_slice(tmp_path / "a.nii", values))
    torch.testing.assert_close(pickled.as_tensor(), nifti.as_tensor())
    torch.testing.assert_close(pickled.affine, nifti.affine)
    assert nibabel.load(tmp_path / "a.nii").shape == (9, 7)


@pytest.mark.parametrize("shape", [(7, 9), (3, 7, 9), (1, 1, 7, 9), (7,)])
def test_another_shape_is_refused(tmp_path, shape):
    with pytest.raises(RefusedInputError, match=r"pass a slice of shape \(1, H, W\)"):
        load(write_pickle(tmp_path / "a.bin", torch.zeros(shape)))


@pytest.mark.parametrize("shape", [(1, 1, 9), (1, 7, 1), (1, 1, 1)])
def test_thin_slices_and_other_types(tmp_path, shape):
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    image = load(write_pickle(tmp_path / "a.bin", values))
    assert image.dtype is torch.float32
    np.testing.assert_array_equal(image[0].numpy(), values[0].T)


def test_a_malicious_slice_is_refused_by_the_loader(tmp_path):
    class Malicious:
        def __reduce__(self):
            return print, ("run",)

    with pytest.raises(RefusedInputError, match=r"a\.bin: it names builtins\.print; pass a pickled array or tensor"):
        load(write_pickle(tmp_path / "a.bin", Malicious()))


def test_reader_knows_its_suffix(tmp_path):
    assert PickledSliceReader().verify_suffix(tmp_path / "a.bin")
    assert not PickledSliceReader().verify_suffix(tmp_path / "a.nii")


def test_unpaired_slices_are_all_named(root):
    (root / "CT" / "train" / "LQ" / "0.bin").unlink()
    (root / "PET" / "train" / "HQ" / "2.bin").unlink()
    with pytest.raises(RefusedInputError, match=r"2 scans have no partner.*CT/train/HQ/0\.bin, .*PET/train/LQ/2\.bin"):
        list_reference(str(root), "training")


def test_refusals(root):
    with pytest.raises(RefusedInputError, match="section is 'train': pass training, validation, testing"):
        list_reference(str(root), "train")
    with pytest.raises(RefusedInputError, match=r"holds no \.bin file: pass the folder above CT"):
        list_reference(str(root / "CT"), "training")
