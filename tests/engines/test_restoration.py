import errno
import gc
import logging
import os

import nibabel
import numpy as np
import pytest
import torch

from bundle.tat.cases.record import read_record
from bundle.tat.cases.refusals import find_refusal
from bundle.tat.dicom.study import Skipped
from bundle.tat.transforms import load
from tests.configs.conftest import foreign_directory, run_config  # noqa: F401 - the fixture
from tests.scans import blobs, write_nifti

SIDES = {"a": 16, "b": 24, "c": 32}
RESTORED, FINISHED = ("restored", ""), ("skipped", "finished by an earlier run")


class Brighten(torch.nn.Module):
    """A network that counts its slices and fails on those of some width."""

    def __init__(self, error=None, width=0):
        super().__init__()
        self.error, self.width, self.n_seen = error, width, 0

    def forward(self, slices):
        if slices.shape[-2] == self.width:
            raise self.error
        self.n_seen += len(slices)
        return (slices + 0.01).clamp(max=1)


@pytest.fixture
def scans(foreign_directory):  # noqa: F811
    """Three CT volumes of three slices, told apart by their width."""
    for name, side in SIDES.items():
        write_nifti(foreign_directory / "in" / f"{name}.nii.gz", blobs((side, 8, 3), -900, 900))
    return foreign_directory / "in"


def restore(dataset_dir, output_dir, network=None, **overrides):
    """Run the inference config with a network, and return the network and what became of each case."""
    network = network or Brighten()
    quiet = {"inferer#progress": False, "handlers": [], "report": "none"}  # of reports: tests/report
    settings = {"device": "cpu", "modality": "CT", **quiet, **overrides}
    workflow = run_config(
        "inference.json", dataset_dir=str(dataset_dir), output_dir=str(output_dir), network_def=network, **settings
    )
    rows = workflow.parser.get_parsed_content("evaluator").rows
    return network, {row.case: (row.status, row.message) for row in rows}


def refusal_of(*args, **kwargs) -> str:
    """What a run that must fail says at its end."""
    with pytest.raises(RuntimeError) as caught:
        restore(*args, **kwargs)
    return str(find_refusal(caught.value))


def written(output_dir):
    return sorted(path.name for path in output_dir.iterdir())


def spoil(path):
    """Put one value that is no number into a file."""
    volume = nibabel.load(path).get_fdata(dtype=np.float32)
    volume[1, 2, 0] = np.nan
    write_nifti(path, volume)


def test_bad_cases_do_not_stop_the_others(scans, capsys, caplog):
    spoil(scans / "b.nii.gz")
    (scans / "0.nii.gz").write_bytes(b"\x1f\x8bgarbage")
    with caplog.at_level(logging.WARNING):
        refusal = refusal_of(scans, scans / ".." / "out")
    assert refusal.startswith("2 cases failed (0, b)")
    assert written(scans.parent / "out") == ["a", "c"]
    assert sum(", b: failed" in line and "1 of 576 voxels are NaN" in line for line in caplog.messages) == 1
    table = capsys.readouterr().out
    assert [line.split()[0] for line in table.splitlines()[-6:]] == ["case", "0", "a", "b", "c", "2"]
    assert "CT" in next(line for line in table.splitlines() if line.startswith("a"))
    assert "2 failed, 2 restored" in table


def test_one_scan_alone_is_refused_with_its_own_words(scans):
    spoil(scans / "a.nii.gz")
    assert "a.nii.gz: 1 of 384 voxels are NaN" in refusal_of(scans / "a.nii.gz", scans.parent / "out")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
    ids=["device", "host", "host, by torch"],
)
def test_a_case_that_does_not_fit_into_memory_is_left_out(scans, error, capsys):
    refusal = refusal_of(scans, scans.parent / "out", Brighten(error, SIDES["b"]))
    assert refusal.startswith("1 case failed (b)")
    assert "failed    the memory is too small for this scan" in capsys.readouterr().out
    assert written(scans.parent / "out") == ["a", "c"]
    # A parameter lives as long as the session: its traceback would keep the volumes for tests that count them.
    error.__traceback__ = None


def test_an_error_of_the_program_stops_the_run(scans):
    with pytest.raises(RuntimeError) as caught:
        restore(scans, scans.parent / "out", Brighten(TypeError("a bug"), SIDES["b"]))
    assert find_refusal(caught.value) is None
    assert isinstance(caught.value.__cause__, TypeError)
    assert written(scans.parent / "out") == ["a"]


def test_a_rerun_does_what_is_left(scans):
    out = scans.parent / "out"
    refusal_of(scans, out, Brighten(MemoryError(), SIDES["b"]))
    before = {name: (out / name / f"{name}_restored.nii.gz").stat().st_mtime_ns for name in "ac"}
    network, results = restore(scans, out)
    assert network.n_seen == 3
    assert results == {"a": FINISHED, "b": RESTORED, "c": FINISHED}
    assert before == {name: (out / name / f"{name}_restored.nii.gz").stat().st_mtime_ns for name in "ac"}
    network, _ = restore(scans, out)
    assert network.n_seen == 0


def other_weights(scans, out):
    (scans.parent / "other.pt").write_bytes(b"other")
    return {"ckpt_path": str(scans.parent / "other.pt")}


def other_scan(scans, out):
    write_nifti(scans / "a.nii.gz", blobs((16, 8, 3), -900, 900, seed=1))
    return {}


def other_folder(scans, out):
    """A scan of the same name from somewhere else."""
    write_nifti(scans.parent / "elsewhere" / "a.nii.gz", blobs((16, 8, 3), -900, 900, seed=1))
    return {"dataset_dir": scans.parent / "elsewhere" / "a.nii.gz"}


def lost_files(scans, out):
    (out / "a" / "a_restored.nii.gz").unlink()
    return {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda *_: {"overwrite": True}, "overwrite"),
        (lambda *_: {"overwrite": "true"}, "overwrite"),
        (other_weights, "made with other weights"),
        (lambda *_: {"slice_axis": 0, "pet_scale": 2.0}, "made with another pet_scale, slice_axis"),
        (other_scan, "another scan had this name"),
        (other_folder, "another scan had this name"),
        (lost_files, "its files were gone"),
    ],
)
def test_what_would_come_out_differently_is_restored_again(scans, change, reason):
    out = scans.parent / "out"
    restore(scans / "a.nii.gz", out)
    changes = {"dataset_dir": scans / "a.nii.gz", "output_dir": out, **change(scans, out)}
    network, results = restore(**changes)
    assert network.n_seen > 0
    assert results == {"a": ("restored", f"again: {reason}")}
    _, results = restore(**{**changes, "overwrite": False})
    assert results == {"a": FINISHED}


def test_an_older_version_is_restored_again(scans, monkeypatch):
    monkeypatch.setattr("bundle.tat.transforms.save.VERSION", "0.0.1")
    restore(scans / "a.nii.gz", scans.parent / "out")
    monkeypatch.undo()
    _, results = restore(scans / "a.nii.gz", scans.parent / "out")
    assert results == {"a": ("restored", "again: made by version 0.0.1")}


def test_words_for_the_same_settings_are_the_same(scans):
    restore(scans / "a.nii.gz", scans.parent / "out", slice_axis=-1, modality="CT", uid_seed=5)
    network, _ = restore(scans / "a.nii.gz", scans.parent / "out", slice_axis=2, modality="ct", uid_seed="5")
    assert network.n_seen == 0


def test_a_switch_that_is_neither_on_nor_off_is_refused(scans):
    assert refusal_of(scans, scans.parent / "out", overwrite="yes") == "overwrite is 'yes': pass True or False"


def test_nothing_of_a_case_is_kept_when_the_next_is_read_without_overlap(scans, monkeypatch):
    spoil(scans / "b.nii.gz")
    alive, open_volume = [], load.open_volume

    def spied(path):
        alive.append(sum(issubclass(type(it), torch.Tensor) and it.numel() >= 384 for it in gc.get_objects()))
        return open_volume(path)

    monkeypatch.setattr(load, "open_volume", spied)
    gc.collect()  # of what other tests left
    gc.disable()  # of this run nothing may be left to the collector
    try:
        refusal_of(scans, scans.parent / "out", overlap=False)
    finally:
        gc.enable()
    assert alive[0] == alive[1] == alive[2]


def test_a_full_disk_ends_the_run_and_a_rerun_finishes_it(scans, monkeypatch, capsys):
    save = nibabel.save

    def full(image, path):
        if image.shape[0] == SIDES["b"]:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(image, path)

    monkeypatch.setattr(nibabel, "save", full)
    assert refusal_of(scans, scans.parent / "out").startswith("2 cases failed (b, c)")
    table = capsys.readouterr().out
    assert "No space left on device" in table
    assert "failed    not tried" in table
    assert written(scans.parent / "out") == ["a"]
    monkeypatch.undo()
    _, results = restore(scans, scans.parent / "out")
    assert results == {"a": FINISHED, "b": RESTORED, "c": RESTORED}


def test_an_output_folder_that_cannot_be_written_is_refused_before_anything_is_restored(scans, monkeypatch):
    network = Brighten()
    (scans.parent / "file").touch()
    assert "cannot be written to" in refusal_of(scans, scans.parent / "file" / "out", network)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    assert "cannot be written to" in refusal_of(scans, scans.parent / "out", network)
    assert network.n_seen == 0


def test_a_folder_that_holds_something_else_is_refused_before_its_case_is_restored(scans):
    (scans.parent / "out" / "a").mkdir(parents=True)
    (scans.parent / "out" / "a" / "thesis.txt").touch()
    network = Brighten()
    assert "holds thesis.txt, which is no result" in refusal_of(scans / "a.nii.gz", scans.parent / "out", network)
    assert network.n_seen == 0


@pytest.mark.parametrize("output", [".", "restored"])
def test_results_inside_the_input_are_no_input(scans, output):
    restore(scans, scans / output)
    network, results = restore(scans, scans / output)
    assert network.n_seen == 0
    folder = scans.name if output == "." else output
    assert results.pop(folder) == ("skipped", "already restored by TAT: pass the scan that it was made from")
    assert sorted(results) == ["a", "b", "c"]


def test_skipped_series_are_in_the_table(scans, capsys):
    restore(scans / "a.nii.gz", scans.parent / "out", skipped=[Skipped("study/scout", 3, "a localizer")])
    table = capsys.readouterr().out
    assert "study/scout" in table
    assert "skipped   a localizer" in table
    assert "1 skipped, 1 restored" in table


def test_one_bar_counts_the_slices_of_all_cases(scans, capsys):
    restore(scans / "c.nii.gz", scans.parent / "out")
    capsys.readouterr()
    restore(scans, scans.parent / "out", **{"inferer#progress": True})
    shown = capsys.readouterr().err
    assert "case 1 of 3, reading:   0%|          | 0/6 " in shown
    assert "case 2 of 3, restoring" in shown
    assert "case 2 of 3, saving" in shown
    assert shown.rstrip().splitlines()[-1].count("6/6")


def test_a_record_names_no_path(scans):
    restore(scans / "a.nii.gz", scans.parent / "out")
    record = read_record(scans.parent / "out" / "a")
    assert len(record.settings["fingerprint"]) == 64
    assert str(scans) not in (scans.parent / "out" / "a" / "restoration.json").read_text()
