"""Where the voxels of a NIfTI file lie, read and written: always where nibabel puts them, with both forms kept."""

import logging
import re

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch
from monai.transforms import Compose, DivisiblePadd, Invertd
from nibabel.quaternions import quat2mat

from bundle.tat.data.scan_info import read_scan_info
from bundle.tat.transforms.load import FORMS_KEY, LoadScand
from bundle.tat.transforms.save import SaveRestoredd
from bundle.tat.transforms.volume import EnsureScalarVolumed
from bundle.tat.volume_files import NiftiForms, open_volume, write_nifti
from bundle.tat.volume_files.geometry import corner_distance
from scripts.benchmarks.geometry import (
    DOCUMENT,
    KINDS,
    SCANNER,
    SHAPE,
    TEMPLATE,
    TILTED,
    Kind,
    measure,
    nibabel_affine,
    write_kind,
    write_result,
)
from tests.scans import blobs

# SimpleITK takes the qform where the sform is no rotation or not of the scanner, and turns what has no form at all.
OTHER_IN_ITK = {
    "both, qform of the scanner, sform to a template",
    "both, sform turned to another scan",
    "tilted gantry, qform without the tilt",
    "codes 0 and 0",
}
REFUSED_BY_ITK = {"sform to a template alone", "tilted gantry, sform alone"}
FORM_FIELDS = (
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
)


@pytest.mark.parametrize("name", KINDS)
def test_corners_are_where_nibabel_puts_them(tmp_path, name):
    """The result opens in SimpleITK exactly where and as its source does."""
    found = measure(KINDS[name], tmp_path)
    assert found["the bundle"] < 1e-3
    assert found["nibabel, of the result"] < 1e-3
    if name in REFUSED_BY_ITK:
        assert found["SimpleITK"] is found["SimpleITK, of the result"] is None
    else:
        assert found["SimpleITK, of the result"] == pytest.approx(found["SimpleITK"], abs=1e-3)
        assert (found["SimpleITK"] > 1) == (name in OTHER_IN_ITK)


@pytest.mark.parametrize("name", KINDS)
def test_headers_are_read_alike_for_pairs_and_for_scores(tmp_path, name):
    path = write_kind(KINDS[name], tmp_path / "scan.nii.gz")
    assert corner_distance(read_scan_info(path).affine, nibabel_affine(path), SHAPE) < 1e-3
    result = open_volume(write_result(path, tmp_path / "out"))
    assert corner_distance(result.affine, nibabel_affine(path), SHAPE) < 1e-3


def assert_same_forms(source, result, to_mm: float = 1.0) -> None:
    """The elements of both forms and both codes are equal, in millimetres."""
    for code in ("sform_code", "qform_code"):
        assert int(source[code]) == int(result[code])
    for field in FORM_FIELDS:
        factor = 1.0 if field.startswith("quatern") else to_mm
        np.testing.assert_allclose(result[field], source[field] * factor, rtol=1e-6, atol=1e-9, err_msg=field)
    np.testing.assert_allclose(result["pixdim"][1:4], source["pixdim"][1:4] * to_mm, rtol=1e-6)
    assert result["pixdim"][0] == source["pixdim"][0]
    assert result.get_xyzt_units()[0] == "mm"


@st.composite
def headers(draw) -> nibabel.Nifti1Header:
    """Any header: forms that agree or not, sheared, mirrored, far away, with any codes and units."""
    number = st.floats(-1, 1, width=32)
    header = nibabel.Nifti1Header()
    quaternion = np.array([draw(st.floats(0.125, 1, width=32)), *(draw(number) for _ in "bcd")])
    qform = np.eye(4)
    qform[:3, :3] = quat2mat(quaternion / np.linalg.norm(quaternion)) * [
        draw(st.floats(0.25, 8, width=32)) for _ in range(3)
    ]
    qform[:3, 2] *= draw(st.sampled_from([1, -1]))
    qform[:3, 3] = [300 * draw(number) for _ in range(3)]
    sform = np.array([[draw(number) for _ in range(4)] for _ in range(3)] + [[0, 0, 0, 1]])
    sform[:3, :3] += np.diag([3, -3, 5])
    sform[:3, 3] *= 300
    header.set_qform(qform, draw(st.integers(0, 4)))
    header.set_sform(draw(st.sampled_from([sform, qform])), draw(st.integers(0, 4)))
    header.set_xyzt_units(draw(st.sampled_from(["mm", "unknown", "meter", "micron"])))
    return header


@settings(deadline=None)
@given(header=headers(), shape=st.lists(st.integers(1, 6), min_size=2, max_size=3), version=st.sampled_from([1, 2]))
def test_both_forms_and_codes_come_back(tmp_path_factory, header, shape, version):
    folder = tmp_path_factory.mktemp("forms")
    image = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    nibabel.save(image(np.ones(shape, dtype=np.int16), None, image.header_class.from_header(header)), folder / "a.nii")
    volume, result = open_volume(folder / "a.nii"), folder / "result.nii"
    write_nifti(volume.values(), volume.affine, result, NiftiForms.from_json(volume.forms.to_json()))
    to_mm = {"meter": 1000.0, "micron": 0.001}.get(header.get_xyzt_units()[0], 1.0)
    assert_same_forms(nibabel.load(folder / "a.nii").header, nibabel.load(result).header, to_mm)
    found, truth = (
        affine[:, [*range(len(shape)), 3]] for affine in (nibabel_affine(result), nibabel_affine(folder / "a.nii"))
    )
    np.testing.assert_allclose(found, truth, rtol=1e-5, atol=1e-3)
    assert nibabel.load(result).shape == tuple(shape)


@given(header=headers())
def test_forms_are_kept_as_text(header):
    forms = NiftiForms.of_header(header, 0.001)
    assert NiftiForms.from_json(forms.to_json()) == forms


def test_forms_survive_a_batch_and_the_way_back(tmp_path):
    kind = Kind(TEMPLATE, SCANNER, (4, 2))
    path = write_kind(kind, tmp_path / "scan.nii.gz")
    way = Compose([LoadScand("image"), EnsureScalarVolumed("image"), DivisiblePadd("image", k=16)])
    (batch,) = DataLoader(Dataset([{"image": str(path), "case": "a"}], way), batch_size=1)
    batch["pred"] = MetaTensor(batch["image"].as_tensor() + 1).copy_meta_from(batch["image"])
    (item,) = decollate_batch(batch)
    back = Invertd("pred", transform=way, orig_keys="image", nearest_interp=False)(item)
    SaveRestoredd("pred", str(tmp_path / "out"))(back)
    written = nibabel.load(tmp_path / "out" / "a" / "a_restored.nii.gz")
    assert written.shape == SHAPE
    assert_same_forms(nibabel.load(path).header, written.header)


def test_forms_of_another_grid_are_not_written(tmp_path):
    """An image that was moved after it was read says where it is now."""
    image = LoadScand("image")({"image": str(write_kind(KINDS["both, equal"], tmp_path / "scan.nii.gz"))})["image"]
    image.affine[:3, 3] += 7
    SaveRestoredd("image", str(tmp_path / "out"))({"image": image})
    written = nibabel.load(tmp_path / "out" / "scan" / "scan_restored.nii.gz")
    np.testing.assert_allclose(written.affine, image.affine.numpy(), atol=1e-4)
    np.testing.assert_allclose(written.get_qform(), image.affine.numpy(), atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Kind(TEMPLATE, SCANNER, (4, 1)), r"corners lie up to 21\.8 mm apart: the sform \(code 4\) is used"),
        (Kind(SCANNER, SCANNER, (0, 0)), r"names no orientation \(sform and qform codes are 0\)"),
        (Kind(TILTED, TILTED, (1, 0)), ""),
        (Kind(SCANNER, SCANNER, (2, 1)), ""),
    ],
)
def test_forms_that_disagree_are_told_in_one_line(tmp_path, caplog, kind, message):
    path = write_kind(kind, tmp_path / "scan.nii.gz")
    with caplog.at_level(logging.WARNING):
        LoadScand("image")({"image": str(path)})
    if not message:
        assert not caplog.records
    else:
        (record,) = caplog.records
        assert record.getMessage().startswith(str(path))
        assert re.search(message, record.getMessage())


def test_a_qform_that_is_no_rotation_is_kept_and_told(tmp_path):
    path = write_kind(KINDS["both, equal"], tmp_path / "scan.nii")
    image = nibabel.load(path)
    image.header["quatern_b"] = 3.0
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), None, image.header), tmp_path / "bad.nii")
    assert "has a qform that is no rotation" in open_volume(tmp_path / "bad.nii").note
    result = write_result(tmp_path / "bad.nii", tmp_path / "out")
    assert float(nibabel.load(result).header["quatern_b"]) == 3.0


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_affine_without_a_place_is_refused(tmp_path, value):
    path = write_kind(Kind(SCANNER, SCANNER, (1, 1)), tmp_path / "scan.nii")
    header = nibabel.load(path).header
    header["srow_x"] = header["srow_y"] = header["srow_z"] = value
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, dtype=np.float32), None, header), path)
    with pytest.raises(ValueError, match=r"cannot read .*scan\.nii: its affine .* puts different voxels in one place"):
        open_volume(path)


def test_a_slice_without_a_third_side_is_no_fault(tmp_path):
    affine = np.diag([0.8, 0.9, 0.0, 1.0])
    image = nibabel.Nifti1Image(np.ones((6, 5), dtype=np.float32), None)
    image.header.set_sform(affine, 1)
    nibabel.save(image, tmp_path / "flat.nii")
    assert open_volume(tmp_path / "flat.nii").shape == (6, 5)


@pytest.mark.parametrize("more", [(1,), (1, 1), (1, 1, 1)])
def test_singleton_axes_are_left_out(tmp_path, more):
    volume = blobs((5, 7, 3), 0, 200)
    write_nifti(volume, SCANNER, tmp_path / "three.nii")
    nibabel.save(nibabel.Nifti1Image(volume.reshape(*volume.shape, *more), SCANNER), tmp_path / "more.nii")
    three, image = (LoadScand("image")({"image": str(tmp_path / name)})["image"] for name in ("three.nii", "more.nii"))
    np.testing.assert_array_equal(image.numpy(), three.numpy())
    assert image.shape == (1, 5, 7, 3)
    assert FORMS_KEY in image.meta
    assert nibabel.load(write_result(tmp_path / "more.nii", tmp_path / "out")).shape == (5, 7, 3)
    assert read_scan_info(tmp_path / "more.nii").shape == (5, 7, 3)


def test_values_do_not_change_with_the_file(tmp_path):
    """A scan that was read stays what it is when its file is overwritten."""
    volume = blobs((5, 7, 3), 0, 200)
    write_nifti(volume, SCANNER, tmp_path / "a.nii")
    image = LoadScand("image")({"image": str(tmp_path / "a.nii")})["image"]
    with (tmp_path / "a.nii").open("r+b") as file:
        file.seek(400)
        file.write(b"\0" * 100)
    np.testing.assert_array_equal(image[0].numpy(), volume)


def test_the_document_has_a_row_for_each_kind():
    first_cells = [line.split(" | ")[0].removeprefix("| ") for line in DOCUMENT.read_text().splitlines()]
    assert [cell for cell in first_cells if cell in KINDS] == list(KINDS)
