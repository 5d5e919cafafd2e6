import hashlib
import json

import nibabel
import numpy as np
import pydicom
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from bundle.tat.cases.record import read_record
from bundle.tat.inferers.planes import IN_PLANES
from bundle.tat.transforms.load import LoadScand
from bundle.tat.transforms.save import SaveRestoredd
from bundle.tat.version import VERSION
from tests.dicom_sources import elements, stored_values, write_source
from tests.scans import oblique_affine


def restored(shape=(1, 5, 6, 3), name="/data/case one.nii.gz") -> MetaTensor:
    return MetaTensor(torch.randn(*shape), affine=oblique_affine(), meta={"filename_or_obj": name})


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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


def test_name_that_the_item_gives(tmp_path):
    SaveRestoredd("pred", output_dir=str(tmp_path))({"pred": restored(), "case": "study-2"})
    assert names(tmp_path / "study-2") == ["restoration.json", "study-2_restored.nii.gz"]


@pytest.mark.parametrize("case", ["..", "a/b", "/a"])
def test_a_case_cannot_leave_the_output_folder(tmp_path, case):
    with pytest.raises(ValueError, match="cannot be the name of a folder"):
        SaveRestoredd("pred", output_dir=str(tmp_path / "out"))({"pred": restored(), "case": case})
    assert names(tmp_path) == []


def test_an_older_result_is_replaced_and_nothing_else_is_left(tmp_path):
    save = SaveRestoredd("pred", output_dir=str(tmp_path))
    save({"pred": restored()})
    save({"pred": restored()})
    assert names(tmp_path) == ["case one"]
    assert names(tmp_path / "case one") == ["case one_restored.nii.gz", "restoration.json"]


def test_a_folder_with_something_else_is_not_replaced(tmp_path):
    (tmp_path / "case one").mkdir()
    (tmp_path / "case one" / "scan.nii.gz").touch()
    with pytest.raises(ValueError, match=r"holds scan\.nii\.gz, which is no result"):
        SaveRestoredd("pred", output_dir=str(tmp_path))({"pred": restored()})
    assert names(tmp_path / "case one") == ["scan.nii.gz"]


def test_failure_leaves_no_half_case(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bundle.tat.atomic.os.fsync", full_disk)
    with pytest.raises(ValueError, match=r"cannot write .*No space left on device"):
        SaveRestoredd("pred", output_dir=str(tmp_path))({"pred": restored()})
    assert names(tmp_path) == []


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "case one").write_text("in the way")
    with pytest.raises(ValueError, match="cannot write"):
        SaveRestoredd("pred", output_dir=str(tmp_path))({"pred": restored()})


def test_the_record_says_what_made_the_case(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"weights")
    settings = {"mri_scale": "percentile", "slice_axis": -1}
    save = SaveRestoredd("pred", str(tmp_path / "out"), weights=str(tmp_path / "model.pt"), settings=settings)
    save({"pred": restored(), "modality": "MRI"})
    (tmp_path / "model.pt").unlink()  # read once only
    save({"pred": restored(), "modality": "MRI", "case": "second"})
    record = read_record(tmp_path / "out" / "second")
    assert (record.case, record.modality, record.provenance.version) == ("second", "MRI", VERSION)
    assert (record.n_outside_network_range, record.n_outside_file_range, record.unit) == (0, 0, "")
    assert record.provenance.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert record.settings == settings
    assert str(tmp_path) not in (tmp_path / "out" / "second" / "restoration.json").read_text()


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("n_slices", [1, 3])
def test_a_series_gives_a_series(tmp_path, modality, n_slices):
    """What was read is written back, in the order of the slices and with the rows and columns where they were."""
    sources = write_source(tmp_path / "series", stored_values(modality, n_slices), modality)
    image = LoadScand("pred")({"pred": str(tmp_path / "series")})["pred"]
    SaveRestoredd("pred", str(tmp_path / "out"))({"pred": image, "modality": modality})
    written = sorted((tmp_path / "out" / "series").glob("*.dcm"))
    assert names(tmp_path / "out" / "series") == [*(path.name for path in written), "restoration.json"]
    for source, path in zip(sources, written, strict=True):
        before, after = pydicom.dcmread(source), pydicom.dcmread(path)
        assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
        assert after.ImagePositionPatient == before.ImagePositionPatient
        expected, found = (
            x.pixel_array * x.get("RescaleSlope", 1.0) + x.get("RescaleIntercept", 0) for x in (before, after)
        )
        np.testing.assert_allclose(found, expected, atol=expected.max() / 32767 if modality == "PT" else 0)


def test_nifti_beside_the_series(tmp_path):
    write_source(tmp_path / "series", stored_values("CT"), "CT")
    image = LoadScand("pred")({"pred": str(tmp_path / "series")})["pred"]
    SaveRestoredd("pred", str(tmp_path / "out"), nifti=True)({"pred": image})
    folder = tmp_path / "out" / "series"
    assert names(folder) == ["IM0001.dcm", "IM0002.dcm", "IM0003.dcm", "restoration.json", "series_restored.nii.gz"]
    np.testing.assert_array_equal(nibabel.load(folder / "series_restored.nii.gz").get_fdata(), image[0].numpy())


def test_the_series_says_what_made_it(tmp_path):
    sources = write_source(tmp_path / "series", stored_values("CT"), "CT")
    image = LoadScand("pred")({"pred": str(tmp_path / "series")})["pred"]
    image += 40000.0
    (tmp_path / "model.pt").write_bytes(b"weights")
    save = SaveRestoredd(
        "pred",
        str(tmp_path / "out"),
        weights=str(tmp_path / "model.pt"),
        uid_seed=7,
        settings={"slice_axis": 2, "uid_seed": 7},
    )
    save({"pred": image, "modality": "CT"})
    folder = tmp_path / "out" / "series"
    first = pydicom.dcmread(folder / "IM0001.dcm")
    assert first.DerivationDescription == (
        f"CT restored by a neural network (TAT medical image restoration {VERSION}, slice_axis 2)"
    )
    sha256 = hashlib.sha256(b"weights").hexdigest()
    assert sha256 in first.ContributingEquipmentSequence[0].ContributionDescription
    assert json.loads((folder / "restoration.json").read_text())["n_outside_file_range"] == image.numel()
    save({"pred": image, "modality": "CT"})
    assert elements([folder / "IM0001.dcm"], "SOPInstanceUID") == [first.SOPInstanceUID]
    assert len(sources) == len(list(folder.glob("*.dcm")))


@pytest.mark.parametrize(
    ("in_planes", "words"), [(True, "PET restored in three planes by"), (False, "PET restored by")]
)
def test_the_series_says_in_how_many_planes_it_was_restored_not_what_was_asked_for(tmp_path, in_planes, words):
    write_source(tmp_path / "series", stored_values("PT"), "PT")
    image = LoadScand("pred")({"pred": str(tmp_path / "series")})["pred"]
    image.meta[IN_PLANES] = in_planes
    SaveRestoredd("pred", str(tmp_path / "out"), settings={"pet_planes": True})({"pred": image, "modality": "PET"})
    description = pydicom.dcmread(tmp_path / "out" / "series" / "IM0001.dcm").DerivationDescription
    assert description == f"{words} a neural network (TAT medical image restoration {VERSION})"


def test_a_series_is_not_replaced_by_its_own_result(tmp_path):
    sources = write_source(tmp_path / "series", stored_values("CT"), "CT")
    image = LoadScand("pred")({"pred": str(tmp_path / "series")})["pred"]
    with pytest.raises(ValueError, match="would be replaced by its own result"):
        SaveRestoredd("pred", str(tmp_path))({"pred": image})
    assert all(path.is_file() for path in sources)


def test_a_source_that_is_gone_leaves_no_half_series(tmp_path):
    sources = write_source(tmp_path / "series", stored_values("CT"), "CT")
    image = LoadScand("pred")({"pred": str(tmp_path / "series")})["pred"]
    sources[2].unlink()
    with pytest.raises(ValueError, match=r"098\.dcm cannot be read: No such file"):
        SaveRestoredd("pred", str(tmp_path / "out"))({"pred": image})
    assert names(tmp_path / "out") == []
