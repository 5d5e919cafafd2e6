import gc
import itertools
import threading
import time
from contextlib import closing
from datetime import datetime

import nibabel
import numpy as np
import pytest
import torch

from bundle.tat.cases.overlap import AsyncWriter, Err, Ok, Prefetcher, capture
from bundle.tat.transforms import load as load_module
from tests.configs.conftest import foreign_directory  # noqa: F401 - the fixture
from tests.engines.test_restoration import (
    RESTORED,
    SIDES,
    Brighten,
    refusal_of,
    restore,
    scans,  # noqa: F401 - the fixture
    spoil,
    written,
)
from tests.scans import blobs, write_dicom_series, write_nifti

# Nothing waits for so long [s] unless the test fails.
PATIENCE = 120


class Step(threading.Event):
    """Something that another thread does; waiting for what never happens is an error."""

    def await_(self):
        if not self.wait(PATIENCE):
            raise TimeoutError


class Noon(datetime):
    """A clock that has stopped."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 1, 12, tzinfo=tz)


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("read_ahead", "write_behind"))]


def fail(error):
    raise error


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_steps_add_their_times_up_and_stop_at_an_error(monkeypatch):
    monkeypatch.setattr("bundle.tat.cases.overlap.time.monotonic", itertools.count().__next__)
    done = capture(lambda: 3).map(lambda value: value + 1)
    assert done == Ok(4, seconds=2)
    error = ValueError("no")
    failed = done.map(lambda _: fail(error))
    assert failed == Err(error, seconds=3)
    assert failed.map(lambda _: pytest.fail("a step after an error")) is failed


@pytest.mark.parametrize("threaded", [True, False])
def test_items_come_in_their_order_and_errors_with_their_item(threaded):
    error = ValueError("item 2")
    with closing(Prefetcher(lambda index: fail(error) if index == 2 else index, 4, threaded=threaded)) as reader:
        items = [reader.take(index) for index in range(4)]
    assert [item.error if isinstance(item, Err) else item.value for item in items] == [0, 1, error, 3]


def test_one_item_is_read_ahead_and_no_more():
    asked, leads, begun = [], [], [Step() for _ in range(6)]

    def read(index):
        leads.append(index - asked[-1])
        begun[index].set()

    with closing(Prefetcher(read, 6, threaded=True)) as reader:
        for index in range(6):
            asked.append(index)
            reader.take(index)
            if index < 5:
                begun[index + 1].await_()
    assert leads == [0, 1, 1, 1, 1, 1]


def test_writing_goes_on_beside_what_comes_after():
    goes_on = Step()
    with closing(AsyncWriter(threaded=True)) as writer:
        assert writer.settle() is None
        writer.put(7, lambda: capture(goes_on.await_))
        assert not writer.is_done
        with pytest.raises(RuntimeError, match="item 7 has to be settled before item 8"):
            writer.put(8, lambda: capture(lambda: None))
        goes_on.set()
        index, outcome = writer.settle()
    assert index == 7
    assert isinstance(outcome, Ok)


def test_closing_waits_for_what_is_being_written():
    goes_on, is_written = Step(), []
    writer = AsyncWriter(threaded=True)
    writer.put(0, lambda: (goes_on.await_(), is_written.append(True)))
    threading.Timer(0, goes_on.set).start()
    writer.close()
    assert is_written


def test_without_a_thread_an_item_is_written_when_it_is_put():
    writer = AsyncWriter(threaded=False)
    writer.put(0, lambda: capture(threading.current_thread))
    assert writer.is_done
    assert writer.settle()[1].value is threading.current_thread()


def nifti_folder(folder):
    """MRI, whose scale is a sum over all voxels."""
    for index, side in enumerate((16, 24, 32)):
        write_nifti(folder / f"{index}.nii.gz", blobs((side, 17, 5), 0, 900, seed=index))
    return {"modality": "MRI", "any_resolution": True}


def dicom_study(folder):
    for number in range(3):
        image = np.round(blobs((3, 16, 24), -900, 900, seed=number)).astype(np.int16)
        write_dicom_series(folder / f"series{number}", image, series_uid=f"1.2.{number}")
    return {"modality": None, "uid_seed": "seed", "nifti": True}


@pytest.mark.parametrize("write", [nifti_folder, dicom_study])
def test_the_same_files_come_out_with_and_without(foreign_directory, write, monkeypatch):  # noqa: F811
    monkeypatch.setattr("bundle.tat.dicom.writer.datetime", Noon)
    options = write(foreign_directory / "in")
    for overlap in (True, False):
        _, results = restore(foreign_directory / "in", foreign_directory / str(overlap), overlap=overlap, **options)
        assert list(results.values()) == [RESTORED] * 3
    with_overlap = contents(foreign_directory / "True")
    assert len(with_overlap) >= 6
    assert with_overlap == contents(foreign_directory / "False")


def test_a_case_is_restored_while_the_next_is_read_and_the_one_before_is_saved(foreign_directory, monkeypatch):  # noqa: F811
    """Case 1 is saved, case 2 restored and case 3 read, each not before the others have begun: three are in memory."""
    sides = [16, 24, 32, 40, 48, 56]
    for index, side in enumerate(sides):
        write_nifti(foreign_directory / "in" / f"{index}.nii.gz", blobs((side, 8, 3), -900, 900))
    is_read = {side: Step() for side in sides}
    next_is_read = dict(zip(sides, [*(is_read[side] for side in sides[1:]), is_read[sides[-1]]], strict=True))
    next_but_one = dict(zip(sides, [*(is_read[side] for side in sides[2:]), *[is_read[sides[-1]]] * 2], strict=True))
    alive, load, save = [], load_module._load, nibabel.save

    def alive_now():
        tensors = [it for it in gc.get_objects() if issubclass(type(it), torch.Tensor)]
        return {tensor.shape[1] for tensor in tensors if tensor.shape[2:] == (8, 3)}

    def spied_load(path):
        # The thread that has written a case lets go of it a moment after it has said so. Nothing else moves until this
        # case is read, so what is still there after a while is there to stay.
        give_up = time.monotonic() + 5
        while len(others := alive_now()) > 2 and time.monotonic() < give_up:
            time.sleep(0.01)
        alive.append(others)
        is_read[sides[int(path.name[0])]].set()
        return load(path)

    def spied_save(image, path):
        next_but_one[image.shape[0]].await_()
        save(image, path)

    class Waiting(Brighten):
        def forward(self, slices):
            next_is_read[slices.shape[-2]].await_()
            return super().forward(slices)

    monkeypatch.setattr(load_module, "_load", spied_load)
    monkeypatch.setattr(nibabel, "save", spied_save)
    gc.collect()  # of what other tests left
    restore(foreign_directory / "in", foreign_directory / "out", Waiting())
    assert [len(others) for others in alive] == [0, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("bad", ["a", "b", "c"])
def test_an_error_of_reading_belongs_to_its_case(scans, bad, capsys):  # noqa: F811
    spoil(scans / f"{bad}.nii.gz")
    assert refusal_of(scans, scans.parent / "out").startswith(f"1 case failed ({bad})")
    lines = capsys.readouterr().out.splitlines()[-4:-1]
    assert [line[0] for line in lines] == ["a", "b", "c"]
    assert [line[0] for line in lines if "voxels are NaN" in line] == [bad]
    assert written(scans.parent / "out") == sorted({"a", "b", "c"} - {bad})


@pytest.mark.parametrize("bad", ["a", "b", "c"])
def test_an_error_of_saving_belongs_to_its_case(scans, bad, monkeypatch, capsys):  # noqa: F811
    save = nibabel.save
    monkeypatch.setattr(
        nibabel, "save", lambda image, path: fail(MemoryError()) if image.shape[0] == SIDES[bad] else save(image, path)
    )
    assert refusal_of(scans, scans.parent / "out").startswith(f"1 case failed ({bad})")
    lines = capsys.readouterr().out.splitlines()[-4:-1]
    assert [line[0] for line in lines] == ["a", "b", "c"]
    assert [line[0] for line in lines if "memory is too small" in line] == [bad]
    assert written(scans.parent / "out") == sorted({"a", "b", "c"} - {bad})


@pytest.mark.parametrize("bad", ["a", "c"])
def test_an_error_of_the_program_in_saving_stops_the_run(scans, bad, monkeypatch):  # noqa: F811
    save = nibabel.save
    monkeypatch.setattr(
        nibabel,
        "save",
        lambda image, path: fail(KeyError("a bug")) if image.shape[0] == SIDES[bad] else save(image, path),
    )
    with pytest.raises(RuntimeError) as caught:
        restore(scans, scans.parent / "out")
    assert isinstance(caught.value.__cause__, KeyError)
    assert "c" not in written(scans.parent / "out")
    assert not our_threads()


def test_an_interrupt_ends_the_threads_and_leaves_whole_files(scans, monkeypatch):  # noqa: F811
    """The case before is being saved when the user has enough; its files are finished, and nothing else is left."""
    is_interrupted, save = Step(), nibabel.save

    class Interrupted(Brighten):
        def forward(self, slices):
            if slices.shape[-2] == SIDES["b"]:
                is_interrupted.set()
                raise KeyboardInterrupt
            return super().forward(slices)

    def late_save(image, path):
        is_interrupted.await_()
        save(image, path)

    monkeypatch.setattr(nibabel, "save", late_save)
    with pytest.raises(KeyboardInterrupt):
        restore(scans, scans.parent / "out", Interrupted())
    assert not our_threads()
    assert written(scans.parent / "out") == ["a"]
    assert written(scans.parent / "out" / "a") == ["a_restored.nii.gz", "restoration.json"]


@pytest.mark.parametrize(("name", "overlap"), [("a.nii.gz", True), ("", False)], ids=["one case", "switched off"])
def test_no_thread_is_started_without_need(scans, name, overlap, monkeypatch):  # noqa: F811
    monkeypatch.setattr("bundle.tat.cases.overlap.ThreadPoolExecutor", lambda **_: pytest.fail("a thread"))
    _, results = restore(scans / name, scans.parent / "out", overlap=overlap)
    assert set(results.values()) == {RESTORED}


def test_a_switch_that_is_neither_on_nor_off_is_refused(scans):  # noqa: F811
    assert refusal_of(scans, scans.parent / "out", overlap="yes") == "overlap is 'yes': pass True or False"
