"""From a caller to the archive: nothing is lost and nothing comes twice."""

import logging
import sqlite3
from threading import Thread

import pydicom
import pytest

pytest.importorskip("pynetdicom", reason="the extra node is not installed: pip install '.[node]'")

from bundle.tat.node.clock import LONGEST_PAUSE
from bundle.tat.node.files import NodeFiles
from bundle.tat.node.job_queue import MAX_STARTS
from bundle.tat.node.restorer import DiskFullError
from bundle.tat.node.service import MAX_REJECTIONS, Node
from bundle.tat.node.settings import Limits
from bundle.tat.refusal import RefusedInputError
from tests.node.network import Copies, associate, send, series, settings_of, states, wait_until

# pynetdicom leaves the socket of a connection that fails for the collector to close.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")


def test_a_series_comes_in_and_a_derived_series_goes_out(tmp_path, archive, steps):
    one = steps()
    paths = series(tmp_path / "in")
    assert send(one.port, paths) == [0, 0, 0]
    assert states(one.queue) == ["receiving"]
    one.complete()
    assert states(one.queue) == ["waiting"]
    assert one.node.restore_next()
    assert states(one.queue) == ["sending"]
    assert one.node.send_next()
    assert states(one.queue) == ["done"]
    assert sorted(archive.came.values()) == [1, 1, 1]
    assert {image.ImageComments for image in archive.images.values()} == {f"1.2.3.1.{n}" for n in (1, 2, 3)}
    assert not one.node.restore_next()
    assert not one.node.send_next()


def test_a_file_is_kept_to_the_byte_of_its_data_set(tmp_path, archive, steps):
    one = steps()
    (path,) = series(tmp_path / "in", n_slices=1)
    send(one.port, [path])
    (kept,) = one.node.files.received.glob("*/*.dcm")
    assert pydicom.dcmread(kept) == pydicom.dcmread(path)
    assert pydicom.dcmread(kept).file_meta.TransferSyntaxUID == pydicom.dcmread(path).file_meta.TransferSyntaxUID


def test_a_series_is_not_complete_while_its_sender_is_connected(tmp_path, archive, steps):
    one = steps()
    paths = series(tmp_path / "in")
    association = associate(one.port)
    association.send_c_store(pydicom.dcmread(paths[0]))
    one.clock.pass_by(3600)
    one.node.complete_series()
    assert states(one.queue) == ["receiving"]
    association.release()
    one.wait_for_callers()
    one.node.complete_series()
    assert states(one.queue) == ["waiting"]


def test_a_series_is_not_complete_until_it_is_quiet(tmp_path, archive, steps):
    one = steps()
    paths = series(tmp_path / "in")
    send(one.port, paths[:1])
    one.clock.pass_by(9.9)
    send(one.port, paths[1:2])
    one.wait_for_callers()
    one.clock.pass_by(9.9)
    one.node.complete_series()
    assert states(one.queue) == ["receiving"]
    one.clock.pass_by(0.2)
    one.node.complete_series()
    assert states(one.queue) == ["waiting"]


def test_an_object_that_comes_again_is_there_once(tmp_path, archive, steps):
    one = steps()
    paths = series(tmp_path / "in")
    assert send(one.port, [*paths, *paths]) == [0] * 6
    one.complete()
    one.node.restore_next(), one.node.send_next()
    assert send(one.port, paths) == [0] * 3
    assert states(one.queue) == ["done"]
    assert one.copies.restored == [(1, 3)]
    assert len(list(one.node.files.received.glob("*/*"))) == 3
    assert one.node.counters["instances_repeated_total"] == 6


def test_late_objects_make_a_job_of_all_that_came(tmp_path, archive, steps):
    one = steps()
    paths = series(tmp_path / "in", n_slices=4)
    send(one.port, paths[:2])
    one.complete()
    send(one.port, paths[2:3])  # before its turn: it goes along
    assert states(one.queue) == ["receiving"]
    one.complete()
    one.node.restore_next(), one.node.send_next()
    send(one.port, paths[3:])
    assert states(one.queue) == ["done", "receiving"]
    one.complete()
    one.node.restore_next(), one.node.send_next()
    assert one.copies.restored == [(1, 3), (2, 4)]
    assert len(archive.came) == 7


def test_a_receiver_that_does_not_answer_is_tried_again_with_growing_pauses(tmp_path, archive, steps, caplog):
    one = steps()
    send(one.port, series(tmp_path / "in"))
    one.complete()
    one.node.restore_next()
    archive.stop()
    pauses = []
    for _ in range(10):
        assert one.node.send_next()
        pauses.append(one.node._silence.remaining)
        assert not one.node.send_next()
        one.clock.pass_by(pauses[-1])
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert states(one.queue) == ["sending"]
    archive.start()
    assert one.node.send_next()
    assert states(one.queue) == ["done"]
    assert sorted(archive.came.values()) == [1, 1, 1]


def test_what_the_receiver_has_is_not_sent_again(tmp_path, archive, steps):
    one = steps()
    send(one.port, series(tmp_path / "in"))
    one.complete()
    one.node.restore_next()
    archive.answers = []
    first = list(archive.came)
    archive.answers = [0xA700]
    one.node.send_next()
    assert list(archive.came) == first == []
    one.clock.pass_by(5)
    archive.answers = []
    one.node.send_next()
    assert sorted(archive.came.values()) == [1, 1, 1]


def test_a_receiver_that_refuses_is_asked_a_few_times_and_others_go_on(tmp_path, archive, steps, caplog):
    one = steps()
    send(one.port, series(tmp_path / "a", 1) + series(tmp_path / "b", 2))
    one.complete()
    assert one.node.restore_next()
    assert one.node.restore_next()
    archive.answers = [0xC000]
    one.node.send_next()
    assert states(one.queue) == ["sending", "sending"]
    one.node.send_next()
    assert states(one.queue) == ["sending", "done"]
    for _ in range(MAX_REJECTIONS - 1):
        one.clock.pass_by(900)
        archive.answers = [0xC000]
        one.node.send_next()
    assert states(one.queue) == ["failed", "done"]
    assert one.queue.jobs("failed")[0].reason == "the receiver refused an object with status C000, 5 times"
    one.queue.retry(1)
    one.node.send_next()
    assert states(one.queue) == ["done", "done"]
    assert sorted(archive.came.values()) == [1] * 6


def test_a_series_that_is_refused_is_not_sent(tmp_path, archive, steps, caplog):
    one = steps()
    send(one.port, series(tmp_path / "in"))
    one.complete()
    one.copies.reason = "nothing tells\nthe modality"
    one.node.restore_next()
    (job,) = one.queue.jobs()
    assert (job.state, job.reason) == ("refused", "nothing tells the modality")
    assert not one.node.send_next()


def test_an_error_of_the_program_fails_one_series_and_quotes_nothing(tmp_path, archive, steps, caplog):
    one = steps()
    send(one.port, series(tmp_path / "a", 1) + series(tmp_path / "b", 2))
    one.complete()
    one.copies.errors = [ValueError("Doe^John")]
    one.node.restore_next(), one.node.restore_next()
    assert states(one.queue) == ["failed", "sending"]
    assert "ValueError in network.py" in one.queue.jobs("failed")[0].reason
    assert "Doe" not in caplog.text + one.queue.jobs("failed")[0].reason


def test_a_full_disk_is_waited_for(tmp_path, archive, steps):
    one = steps()
    send(one.port, series(tmp_path / "in"))
    one.complete()
    one.copies.errors = [DiskFullError() for _ in range(MAX_STARTS + 1)]
    while one.copies.errors:
        assert not one.node.restore_next()
        assert states(one.queue) == ["waiting"]
        one.clock.pass_by(one.node._disk.remaining)
    assert one.node.restore_next()
    assert states(one.queue) == ["sending"]


@pytest.mark.parametrize("call", ["restored", "put_back", "refuse"])
def test_a_job_whose_outcome_the_full_disk_did_not_take_is_restored_again(tmp_path, archive, steps, monkeypatch, call):
    one = steps()
    send(one.port, series(tmp_path / "in"))
    one.complete()
    one.copies.errors = [DiskFullError()] if call == "put_back" else []
    one.copies.reason = "its slices are apart" if call == "refuse" else ""

    def is_full(*_) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(one.queue, call, is_full)
        with pytest.raises(sqlite3.OperationalError):
            one.node.restore_next()
    assert states(one.queue) == ["restoring"]
    one.copies.reason = ""
    one.clock.pass_by(LONGEST_PAUSE)
    assert one.node.restore_next()
    assert states(one.queue) == ["sending"]
    assert one.node.send_next()
    assert sorted(archive.came.values()) == [1, 1, 1]


def test_a_damaged_result_is_made_again(tmp_path, archive, steps):
    one = steps()
    send(one.port, series(tmp_path / "in"))
    one.complete()
    one.node.restore_next()
    next(one.node.files.results.glob("*/*.dcm")).write_bytes(b"half")
    assert one.node.send_next()
    assert states(one.queue) == ["waiting"]
    assert not one.node.files.results_of(1)
    assert one.node.restore_next()
    assert one.node.send_next()
    assert states(one.queue) == ["done"]


def test_results_that_are_gone_are_made_again(tmp_path, archive, steps):
    one = steps()
    send(one.port, series(tmp_path / "in"))
    one.complete()
    one.node.restore_next()
    for file in one.node.files.results.glob("*/*"):
        file.unlink()
    one.node.send_next()
    assert states(one.queue) == ["waiting"]
    one.node.restore_next(), one.node.send_next()
    assert states(one.queue) == ["done"]


@pytest.mark.parametrize("state", ["receiving", "waiting", "restoring", "sending", "done"])
def test_a_killed_node_goes_on_from_the_last_state(tmp_path, archive, steps, state):
    first = steps()
    send(first.port, series(tmp_path / "in"))
    if state != "receiving":
        first.complete()
    if state == "restoring":
        first.queue.start_next()
    if state in ("sending", "done"):
        first.node.restore_next()
    if state == "done":
        first.node.send_next()
    assert states(first.queue) == [state]
    first.node.receiver.stop()  # its queue stays as it is
    (first.node.files.incoming / "half.dcm").write_bytes(b"half of an object")
    (first.node.files.received / "1" / "unrecorded.dcm").write_bytes(b"an object whose sender was not answered")

    second = steps(clock=first.clock)
    assert not list(second.node.files.incoming.iterdir())
    assert len(list(second.node.files.received.glob("*/*"))) == 3
    second.complete()
    second.node.restore_next(), second.node.send_next()
    assert states(second.queue) == ["done"]
    assert sorted(archive.came.values()) == [1, 1, 1]


def test_a_series_that_kills_the_program_is_given_up_and_others_come_first(tmp_path, archive, steps):
    one = steps()
    send(one.port, series(tmp_path / "a", 1) + series(tmp_path / "b", 2))
    one.complete()
    for n_starts in range(1, MAX_STARTS + 1):
        assert one.queue.start_next().id == 1
        one.node.recover()
        if n_starts == 1:
            assert one.node.restore_next()  # the other one
            assert one.copies.restored == [(2, 3)]
    assert states(one.queue) == ["failed", "sending"]


def test_what_is_done_with_is_removed_after_some_days(tmp_path, archive, steps):
    one = steps(limits=Limits(min_free=0, keep_seconds=86400.0))
    send(one.port, series(tmp_path / "a", 1))
    one.complete()
    one.node.restore_next(), one.node.send_next()
    send(one.port, series(tmp_path / "b", 2))
    one.clock.pass_by(86399)
    one.node.remove_old()
    assert states(one.queue) == ["done", "receiving"]
    one.clock.pass_by(1)
    one.node.remove_old()
    assert states(one.queue) == ["receiving"]
    assert [path.name for path in one.node.files.received.iterdir()] == ["2"]
    assert not list(one.node.files.results.iterdir())
    assert send(one.port, series(tmp_path / "a", 1)) == [0, 0, 0]  # it is new again
    assert states(one.queue) == ["receiving", "receiving"]
    assert [job.id for job in one.queue.jobs()] == [2, 3]


def test_what_needs_a_look_stays_for_a_day_at_least(tmp_path, archive, steps):
    one = steps(limits=Limits(min_free=0, keep_seconds=0.0))
    send(one.port, series(tmp_path / "a", 1) + series(tmp_path / "b", 2))
    one.complete()
    one.copies.reason = "slices are missing"
    one.node.restore_next()
    one.copies.reason = ""
    one.finish()
    one.node.remove_old()
    assert states(one.queue) == ["refused"]
    assert one.node._is_done()
    with pytest.raises(RefusedInputError, match="1 of 2 series are not done: tat serve --status gives the reasons"):
        one.node._check_outcome()
    one.clock.pass_by(86400)
    one.node.remove_old()
    assert states(one.queue) == []
    with pytest.raises(RefusedInputError, match="1 of 2 series are not done"):
        one.node._check_outcome()


def test_a_full_disk_stops_each_step_by_itself(tmp_path, archive, steps, caplog):
    one = steps()
    taken = []

    def remove_old() -> None:
        taken.append("remove_old")

    def complete_series() -> None:
        taken.append("complete_series")
        raise sqlite3.OperationalError("database or disk is full")

    pauses = []
    for _ in range(3):
        assert not one.node._guard(complete_series)
        assert not one.node._guard(complete_series)  # it pauses
        one.node._guard(remove_old)  # which may make room
        pauses.append(one.node._pauses["complete_series"].remaining)
        one.clock.pass_by(pauses[-1])
    assert pauses == [5, 10, 20]
    assert taken == ["complete_series", "remove_old"] * 3
    assert not one.node._disk.remaining
    assert not one.node._stopped.is_set()


def test_metrics_are_written_whole(tmp_path, archive, steps):
    one = steps(free_bytes=lambda: 10**9)
    one.node._metrics_file = tmp_path / "tat.prom"
    send(one.port, series(tmp_path / "in"))
    one.node.write_metrics()
    lines = (tmp_path / "tat.prom").read_text().splitlines()
    assert "tat_node_instances_received_total 3" in lines
    assert 'tat_node_jobs{state="receiving"} 1' in lines
    assert 'tat_node_jobs{state="done"} 0' in lines
    assert "tat_node_free_bytes 1000000000" in lines
    assert "# TYPE tat_node_received_bytes_total counter" in lines


def test_the_whole_node_ends_once_all_is_done(tmp_path, archive, caplog):
    caplog.set_level(logging.INFO)
    settings = settings_of(tmp_path / "node", archive, quiet=0.0)
    files = NodeFiles(settings.folder)
    node = Node(settings, files, Copies(files.results))
    errors = []

    def run() -> None:
        try:
            node.run(once=True)
        except Exception as error:
            errors.append(error)

    thread = Thread(target=run)
    thread.start()
    wait_until(node.queue, lambda: hasattr(node.receiver, "_listener"))
    send(node.receiver.port, series(tmp_path / "in"))
    thread.join(60)
    assert not thread.is_alive()
    assert not errors
    assert states(node.queue) == ["done"]
    assert sorted(archive.came.values()) == [1, 1, 1]
    assert "1.2.3" not in caplog.text
