import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from bundle.tat.transforms.save import SaveRestoredd
from tests.scans import oblique_affine


def restored(shape=(1, 5, 6, 3), name="/data/case one.nii.gz") -> MetaTensor:
    return MetaTensor(torch.randn(*shape), affine=oblique_affine(), meta={"filename_or_obj": name})


@given(shape=st.lists(st.integers(1, 6), min_size=2, max_size=3))
def test_values_shape_and_affine_are_kept(tmp_path_factory, shape):
    folder = tmp_path_factory.mktemp("out")
    image = restored((1, *shape))
    SaveRestoredd("pred", output_dir=str(folder))({"pred": image})
    saved = nibabel.load(folder / "case one" / "case one_restored.nii.gz")
    assert saved.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asanyarray(saved.dataobj), image[0].numpy())
    np.testing.assert_allclose(saved.affine, oblique_affine(), atol=1e-4)
    np.testing.assert_allclose(saved.get_qform(), oblique_affine(), atol=1e-3)


def test_no_two_geometries_in_one_file(tmp_path):
    """A tilted gantry shears the affine; the quaternion cannot say so and must not say something else."""
    image = restored()
    sheared = oblique_affine()
    sheared[:3, 2] += sheared[:3, 1] * 0.3
    image.affine = torch.from_numpy(sheared)
    SaveRestoredd("pred", output_dir=str(tmp_path))({"pred": image})
    saved = nibabel.load(tmp_path / "case one" / "case one_restored.nii.gz")
    np.testing.assert_allclose(saved.affine, sheared, atol=1e-4)
    assert int(saved.header["qform_code"]) == 0
    assert int(saved.header["sform_code"]) == 1


@pytest.mark.parametrize(
    ("source", "name"),
    [("/a/head.v2.nii.gz", "head.v2"), ("/a/head.nrrd", "head"), ("/a/1.2.840.5", "1.2.840.5"), ("/a/x.DCM", "x")],
)
def test_name_follows_the_source(tmp_path, source, name):
    SaveRestoredd("pred", output_dir=str(tmp_path))({"pred": restored(name=source)})
    assert (tmp_path / name / f"{name}_restored.nii.gz").is_file()


def test_an_older_result_is_replaced_and_nothing_else_is_left(tmp_path):
    save = SaveRestoredd("pred", output_dir=str(tmp_path))
    save({"pred": restored()})
    save({"pred": restored()})
    assert [path.name for path in (tmp_path / "case one").iterdir()] == ["case one_restored.nii.gz"]


def test_failure_leaves_no_half_file(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bundle.tat.atomic.os.fsync", full_disk)
    with pytest.raises(ValueError, match=r"cannot write .*No space left on device"):
        SaveRestoredd("pred", output_dir=str(tmp_path))({"pred": restored()})
    assert list((tmp_path / "case one").iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "case one").write_text("in the way")
    with pytest.raises(ValueError, match="cannot write"):
        SaveRestoredd("pred", output_dir=str(tmp_path))({"pred": restored()})
