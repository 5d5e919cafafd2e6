"""What is found in deep folders: BIDS, links, foreign formats, own results, many files."""

import json
import os
import time

import pytest

from bundle.tat.data.datalist import find_scan_paths, find_scans
from bundle.tat.refusal import RefusedInputError
from bundle.tat.walk import walk
from tests.scans import blobs, write_dicom_series, write_nifti

VOLUME = blobs((4, 5, 3), 0, 100)


def scan(path):
    return write_nifti(path, VOLUME)


@pytest.fixture
def bids(tmp_path):
    """A data set of two subjects, with what people keep in one."""
    root = tmp_path / "bids"
    for subject in ("sub-01", "sub-02"):
        for name in (f"ses-1/anat/{subject}_ses-1_T1w", f"ses-1/pet/{subject}_ses-1_pet"):
            scan(root / subject / f"{name}.nii.gz").with_name(f"{name.rsplit('/', 1)[-1]}.json").write_text("{}")
    (root / "dataset_description.json").write_text(json.dumps({"Name": "phantom", "BIDSVersion": "1.9.0"}))
    (root / "participants.tsv").write_text("participant_id\tage\n")
    (root / "README").write_text("of the data set")
    (root / "sub-01/ses-1/anat/note.bval").write_text("0")
    scan(root / "derivatives/smooth/sub-01/anat/sub-01_desc-smooth_T1w.nii.gz")
    write_dicom_series(root / "sourcedata" / "sub-01", VOLUME)
    scan(root / ".heudiconv" / "x.nii")
    (root / ".git" / "annex").mkdir(parents=True)
    return root


def cases(path):
    return [item["case"] for item in find_scans(path).items]


def skipped(path):
    return {one.name: one.reason for one in find_scans(path).skipped}


def test_a_bids_data_set_is_its_raw_scans(bids):
    assert cases(bids) == [f"sub-0{n}_ses-1_{kind}" for n in (1, 2) for kind in ("T1w", "pet")]
    reason = "of a BIDS data set, not its raw data: pass it by itself"
    assert skipped(bids) == {name: f"{name} {reason}" for name in ("derivatives", "sourcedata")}


@pytest.mark.parametrize(
    ("inside", "names"),
    [
        ("sub-02", ["sub-02_ses-1_T1w", "sub-02_ses-1_pet"]),
        ("sub-02/ses-1/pet", ["sub-02_ses-1_pet"]),
        ("derivatives", ["sub-01_desc-smooth_T1w"]),
        ("sourcedata", ["sub-01"]),
    ],
)
def test_any_folder_of_a_bids_data_set_can_be_passed(bids, inside, names):
    assert cases(bids / inside) == names


def test_folders_of_these_names_are_searched_elsewhere(tmp_path):
    scan(tmp_path / "derivatives" / "a.nii")
    assert cases(tmp_path) == ["a"]


def test_label_maps_with_bids_names_are_skipped(tmp_path):
    for name in ("sub-1_T1w", "sub-1_space-MNI_dseg", "sub-1_mask", "sub-1_label-GM_probseg", "mask", "sub-1_unmask"):
        scan(tmp_path / f"{name}.nii.gz")
    assert cases(tmp_path) == ["mask", "sub-1_T1w", "sub-1_unmask"]
    assert skipped(tmp_path) == {tmp_path.name: "a label map or mask by its name"}


def test_dicom_beside_volumes_is_refused_at_any_depth(tmp_path):
    scan(tmp_path / "deep" / "er" / "a.nii")
    write_dicom_series(tmp_path / "other", VOLUME)
    with pytest.raises(RefusedInputError, match=r"deep/er/a\.nii is the first of 1\) and DICOM: put one kind in"):
        find_scans(tmp_path)


def test_scans_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for place in ("a/x.nii", "b/x.nii.gz", "b/y.nii"):
        scan(tmp_path / place)
    assert cases(tmp_path) == ["a_x", "b_x", "y"]
    assert list(find_scan_paths(tmp_path)) == ["a_x", "b_x", "y"]


def test_links_without_a_file_and_foreign_formats_are_scans_to_be_refused(tmp_path):
    scan(tmp_path / "in" / "a.nii.gz")
    (tmp_path / "in" / "lost.nii.gz").symlink_to("../.git/annex/objects/x.nii.gz")
    (tmp_path / "in" / "README").symlink_to("nowhere")
    for name in ("m.mnc", "p.PAR", "p.REC", "z.nii.bz2", "t.png", "t.pdf", "t.txt", ".mnc"):
        (tmp_path / "in" / name).write_bytes(b"1")
    assert cases(tmp_path / "in") == ["a", "lost", "m.mnc", "p.PAR", "z.nii.bz2"]


def test_foreign_files_do_not_turn_dicom_away(tmp_path):
    write_dicom_series(tmp_path / "series", VOLUME)
    (tmp_path / "m.mnc").write_bytes(b"1")
    assert cases(tmp_path) == ["m.mnc", "series"]


def test_own_results_are_skipped(tmp_path):
    scan(tmp_path / "a.nii")
    result = scan(tmp_path / "eval" / "a" / "a_restored.nii.gz")
    result.with_name("restoration.json").write_text("{}")
    assert cases(tmp_path) == ["a"]
    reason = "already restored by TAT: pass the scan that it was made from"
    assert skipped(tmp_path) == {"eval/a/a_restored.nii.gz": reason}
    again = scan(tmp_path / "eval" / "b" / "b_restored.nii.gz")
    again.with_name("restoration.json").write_text("{}")
    assert skipped(tmp_path) == {"eval": reason}
    with pytest.raises(RefusedInputError, match=f"; a_restored.nii.gz: {reason}"):
        find_scans(result.parent)


def test_what_says_that_it_is_dicom_is_told_beside_volumes(tmp_path):
    scan(tmp_path / "a.nii")
    (tmp_path / "b.dcm").write_bytes(b"")
    (tmp_path / "notes").write_text("no image")
    assert skipped(tmp_path) == {"b.dcm": "is empty (0 bytes): fetch it again"}


def test_links_to_folders_are_told_and_not_followed(tmp_path):
    scan(tmp_path / "a" / "x.nii")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "y.nii").symlink_to(tmp_path / "a" / "x.nii")
    assert cases(tmp_path) == ["x", "y"]
    assert skipped(tmp_path) == {"a/up": "a link to a folder is not followed: pass it by itself"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    scan(tmp_path / "a.nii")
    os.mkfifo(tmp_path / "b.nii")
    assert cases(tmp_path) == ["a"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="whoever may open everything cannot be kept out")
def test_a_folder_that_cannot_be_opened_is_told(tmp_path):
    scan(tmp_path / "a.nii")
    (tmp_path / "shut").mkdir(mode=0)
    try:
        assert skipped(tmp_path) == {"shut": "it cannot be opened: Permission denied"}
        with pytest.raises(RefusedInputError, match="shut cannot be opened: Permission denied"):
            walk(tmp_path / "shut")
    finally:
        (tmp_path / "shut").chmod(0o700)


@pytest.mark.slow
def test_a_tree_of_100_000_files_takes_seconds(tmp_path):
    for subject in range(1000):
        folder = tmp_path / f"sub-{subject:04d}" / "anat"
        folder.mkdir(parents=True)
        for run in range(50):
            for suffix in (".nii.gz", ".json"):
                (folder / f"sub-{subject:04d}_run-{run}_T1w{suffix}").touch()
    start = time.perf_counter()
    assert len(find_scans(tmp_path).items) == 50_000
    assert time.perf_counter() - start < 60
