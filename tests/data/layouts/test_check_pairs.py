import pickle
import re

import itk
import numpy as np
import pytest
import torch

from bundle.tat.data.layouts.check_pairs import check_pairs
from bundle.tat.data.scan_info import read_scan_info
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.load import LoadScand
from tests.scans import blobs, oblique_affine, write_dicom_series, write_nifti

VOLUME = blobs((5, 7, 4), 0, 100)


def nifti(folder, name="a.nii.gz", volume=VOLUME, affine=None):
    return str(write_nifti(folder / name, volume, affine))


def nrrd(folder, name="a.nrrd", volume=VOLUME):
    itk.imwrite(itk.imread(nifti(folder, "of_nrrd.nii.gz", volume), itk.F), str(folder / name))
    return str(folder / name)


def dicom(folder, name="series", modality="CT", **options):
    write_dicom_series(folder / name, VOLUME.T.astype(np.int16), modality=modality, **options)
    return str(folder / name)


def pickled(folder, name="a.bin"):
    (folder / name).write_bytes(pickle.dumps(torch.zeros(1, 7, 5)))
    return str(folder / name)


@pytest.mark.parametrize("write", [nifti, nrrd, dicom, pickled, lambda folder: nifti(folder, "a.nii", VOLUME[..., 0])])
def test_headers_tell_what_loading_tells(tmp_path, write):
    path = write(tmp_path)
    header, image = read_scan_info(tmp_path / path), LoadScand("image")({"image": path})["image"]
    assert header.shape == tuple(image.shape[1:])
    assert header.n_slices == (image.shape[3] if image.ndim == 4 else 1)
    np.testing.assert_allclose(header.affine, image.affine.numpy(), atol=1e-4)
    assert header.modality is (Modality.CT if write is dicom else None)


def test_single_dicom_file(tmp_path):
    path = write_dicom_series(tmp_path / "series", VOLUME.T.astype(np.int16), modality="MR")[0]
    assert read_scan_info(path).shape == (5, 7, 1)
    assert read_scan_info(path).modality is Modality.MRI


def test_items_are_filled_in(tmp_path):
    pair = {"image": nifti(tmp_path), "label": nrrd(tmp_path), "modality": "mr"}
    series = {"image": dicom(tmp_path, "low"), "label": dicom(tmp_path, "high")}
    clean = {"label": nifti(tmp_path), "modality": "PET", "draw": 1, "n_slices": 2}
    assert check_pairs([pair, series]) == [
        {**pair, "modality": "MRI", "n_slices": 4},
        {**series, "modality": "CT", "n_slices": 4},
    ]
    assert check_pairs([clean], keys=["label"]) == [clean]
    assert "n_slices" not in pair


def test_an_empty_list_is_refused():
    with pytest.raises(RefusedInputError, match="the list of pairs is empty"):
        check_pairs([])


def test_every_fault_is_named_at_once(tmp_path):
    good = nifti(tmp_path)
    shifted = oblique_affine()
    shifted[0, 3] += 0.5
    (tmp_path / "broken.nii.gz").write_bytes(b"\x1f\x8bgarbage")
    (tmp_path / "half.nii").write_bytes((tmp_path / nifti(tmp_path, "whole.nii")).read_bytes()[:-100])
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "broken.nrrd").write_bytes(b"NRRD0004\ntype: nonsense\n\n")
    (tmp_path / "empty").mkdir()
    labels = {
        nifti(tmp_path, "thin.nii.gz", VOLUME[..., :3]): "differ in shape, 5 x 7 x 4 and 5 x 7 x 3",
        nifti(tmp_path, "shifted.nii.gz", affine=shifted): "lie 0.5 mm apart",
        str(tmp_path / "nowhere.nii"): "nowhere.nii does not exist",
        str(tmp_path / "broken.nii.gz"): "cannot read .*broken.nii.gz",
        str(tmp_path / "half.nii"): "cannot read .*half.nii: it has",
        str(tmp_path / "broken.nrrd"): "cannot read .*broken.nrrd",
        str(tmp_path / "picture.png"): "picture.png is none of",
        str(tmp_path / "empty"): "empty holds no DICOM series that can be restored",
        dicom(tmp_path, "mr", "MR"): "",
    }
    items = [{"image": good, "label": label, "modality": "CT"} for label in labels]
    items[-1] = {"image": items[-1]["label"], "label": items[-1]["label"], "modality": "CT"}
    faults = [*[*labels.values()][:-1], "mr: list and files name the modalities CT and MRI"]
    for entry, fault in (
        ({"image": good, "modality": "CT"}, "a.nii.gz has no label, it is unpaired"),
        ({"label": good, "modality": "CT"}, "a.nii.gz has no image, it is unpaired"),
        ({"image": good, "label": good}, "neither list nor file names its modality"),
        ({"image": good, "label": good, "modality": "US"}, "modality 'US' is not one"),
        ({"image": good, "label": good, "modality": "CT", "n_slices": 5}, "has 4 slices: correct its n_slices"),
    ):
        items.append(entry)
        faults.append(fault)
    items.append({"image": good, "label": good, "modality": "CT"})
    with pytest.raises(RefusedInputError) as caught:
        check_pairs(items)
    title, *lines = str(caught.value).splitlines()
    assert title == f"{len(faults)} of {len(items)} items cannot be used:"
    assert len(lines) == len(faults)
    for line, fault in zip(lines, faults, strict=True):
        assert re.search(fault, line), f"{fault!r} is not in {line!r}"


def test_a_hair_of_a_voxel_is_no_difference(tmp_path):
    affine = oblique_affine()
    affine[0, 3] += 0.01
    item = {"image": nifti(tmp_path), "label": nifti(tmp_path, "b.nii.gz", affine=affine), "modality": "CT"}
    assert len(check_pairs([item])) == 1


def test_a_series_with_a_gap_is_refused_before_its_pixels_are_read(tmp_path):
    series = tmp_path / dicom(tmp_path)
    sorted(series.iterdir())[1].unlink()
    with pytest.raises(RefusedInputError, match=r"1 of 1 items cannot be used:\n.*mm apart, the others"):
        check_pairs([{"image": str(series), "label": str(series)}])


@pytest.mark.parametrize(("tasks", "kept"), [(None, 2), ("CT", 1), (["ct", "pet"], 2), (("PT",), 1)])
def test_tasks_are_chosen(tmp_path, tasks, kept):
    items = []
    for modality in ("CT", "PET"):
        paths = [
            write_nifti(tmp_path / modality / f"{key}.nii.gz", blobs((4, 5, 3), 0, 9)) for key in ("image", "label")
        ]
        items.append({"image": str(paths[0]), "label": str(paths[1]), "modality": modality})
    assert len(check_pairs(items, tasks=tasks)) == kept
    with pytest.raises(ValueError, match="none of 2 items is of the tasks MRI"):
        check_pairs(items, tasks="MRI")


def test_the_image_of_a_pair_is_checked_where_clean_scans_are_allowed(tmp_path):
    label, other = nifti(tmp_path), nifti(tmp_path, "b.nii.gz", VOLUME[:4])
    assert len(check_pairs([{"label": label, "modality": "CT"}], ["label"])) == 1
    with pytest.raises(RefusedInputError, match="differ in shape"):
        check_pairs([{"label": label, "image": other, "modality": "CT"}], ["label"])
