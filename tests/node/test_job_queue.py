"""The queue on disk, without a network."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.node.clock import Clock
from bundle.tat.node.files import NodeFiles
from bundle.tat.node.job_queue import FINAL, MAX_STARTS, Instance, JobQueue, SeriesTooLargeError
from bundle.tat.node.status import describe_queue
from bundle.tat.refusal import RefusedInputError

LARGE = 10**9


def instance(number: int, series: int = 1, n_bytes: int = 10, digest: str = "d", syntax: str = "s") -> Instance:
    return Instance(f"1.{series}.{number}", "1", f"1.{series}", syntax, digest, n_bytes)


def add(queue: JobQueue, one: Instance, max_series: int = LARGE):
    return queue.add(one, "CT1", lambda series: f"{series}/{one.uid}.dcm", max_series)


@pytest.fixture
def queue(tmp_path):
    opened = JobQueue(tmp_path / "queue.sqlite", Clock())
    yield opened
    opened.close()


def test_objects_of_a_series_are_one_job(queue):
    assert [add(queue, instance(n, series)).job for n, series in ((1, 1), (1, 2), (2, 1))] == [1, 2, 1]
    assert [(job.n_instances, job.n_bytes) for job in queue.jobs()] == [(2, 20), (1, 10)]
    assert queue.files(queue.jobs()[0]) == ["1/1.1.1.dcm", "1/1.1.2.dcm"]


@pytest.mark.parametrize(
    ("again", "is_conflict"),
    [
        (instance(1), False),
        (instance(1, syntax="other"), False),
        (instance(1, syntax="other", digest="other"), False),
        (instance(1, digest="other"), True),
        (Instance("1.1.1", "1", "1.2", "s", "d", 10), True),
        (Instance("1.1.1", "2", "1.1", "s", "d", 10), True),
    ],
)
def test_an_object_that_came_before(queue, again, is_conflict):
    assert add(queue, instance(1)) == (1, True, False)
    assert queue.add(again, "CT1", pytest.fail, LARGE) == (1, False, is_conflict)
    assert queue.jobs()[0].n_instances == 1


def test_a_series_does_not_grow_beyond_its_bound(queue):
    add(queue, instance(1), max_series=20), add(queue, instance(2), max_series=20)
    with pytest.raises(SeriesTooLargeError):
        add(queue, instance(3), max_series=20)
    assert queue.jobs()[0].n_instances == 2


def test_nothing_is_recorded_of_a_file_that_cannot_be_placed(queue):
    def fail(_: int) -> str:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the one above
        queue.add(instance(1), "CT1", fail, LARGE)
    assert queue.jobs() == []
    assert add(queue, instance(1)).is_new


def test_a_job_is_taken_once(queue):
    add(queue, instance(1))
    assert queue.start_next() is None
    queue.complete(1)
    assert queue.start_next().id == 1
    assert queue.start_next() is None


def test_what_is_being_restored_waits_again_after_a_kill(queue):
    add(queue, instance(1))
    queue.complete(1)
    for _ in range(MAX_STARTS - 1):
        queue.start_next()
        assert queue.recover() == []
        assert queue.jobs()[0].state == "waiting"
    queue.start_next()
    assert [job.id for job in queue.recover()] == [1]
    assert queue.jobs()[0].state == "failed"
    queue.retry(1)
    assert (queue.jobs()[0].state, queue.jobs()[0].n_starts) == ("waiting", 0)


@pytest.mark.parametrize("state", ["receiving", "waiting", "done"])
def test_only_what_was_refused_or_failed_is_tried_again(queue, state):
    add(queue, instance(1))
    if state != "receiving":
        queue.complete(1)
    if state == "done":
        queue.start_next(), queue.restored(1, ["a"]), queue.sent(1, "a"), queue.finish(1)
    with pytest.raises(RefusedInputError, match=f"job 1 is {state}: only refused and failed"):
        queue.retry(1)
    with pytest.raises(RefusedInputError, match="job 7 is not in the queue"):
        queue.retry(7)


def test_status_is_read_beside_a_running_node(queue, tmp_path):
    add(queue, instance(1)), add(queue, instance(1, 2)), add(queue, instance(2, 2))
    queue.refuse(2, "slices are missing")
    shown = describe_queue(tmp_path).splitlines()
    assert shown[0].split() == ["job", "state", "since", "from", "objects", "MB", "results", "sent", "note"]
    assert shown[2].split()[:2] == ["2", "refused"]
    assert shown[2].endswith("slices are missing")
    assert shown[3:] == ["1 receiving, 1 refused", f"job 2: {tmp_path / 'received' / '2'}"]
    assert "1.1.1" not in "".join(shown)


def test_a_folder_without_a_queue_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="holds no queue"):
        describe_queue(tmp_path)


def test_a_queue_of_another_version_is_refused(tmp_path, queue):
    queue._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(RefusedInputError, match="another version"):
        JobQueue(tmp_path / "queue.sqlite", Clock())


def test_one_folder_has_one_node(tmp_path):
    with (
        NodeFiles(tmp_path).owned(),
        pytest.raises(RefusedInputError, match="another tat serve has the folder"),
        NodeFiles(tmp_path).owned(),
    ):
        pass
    with NodeFiles(tmp_path).owned():
        pass


def test_others_may_not_read(tmp_path):
    files = NodeFiles(tmp_path / "node")
    folders = [files.folder, files.incoming, files.received, files.results]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 4


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 3), st.integers(1, 4)),
        st.tuples(st.sampled_from(["complete", "start", "restored", "refuse", "sent", "kill", "remove"])),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_no_object_is_lost_and_none_is_there_twice(steps, tmp_path_factory):
    """Whatever happens in whatever order, killed or not: each object belongs to one job until its series is removed."""
    path = Path(tmp_path_factory.mktemp("queue")) / "queue.sqlite"
    queue = JobQueue(path, Clock())
    there: set[str] = set()
    for name, *numbers in steps:
        if name == "add":
            series, number = numbers
            one = instance(number, series)
            assert add(queue, one).is_new is (one.uid not in there)
            there.add(one.uid)
        elif name == "kill":  # an open transaction would be undone by the next process that opens it
            queue.close()
            queue = JobQueue(path, Clock())
            queue.recover()
        elif name == "remove":
            uids = {job.series: {_uid(file) for file in queue.files(job)} for job in queue.jobs()}
            done = {job.series for job in queue.jobs()} - {job.series for job in queue.jobs() if job.state not in FINAL}
            assert {series for series, _ in queue.remove_before(float("inf"))} == done
            there -= set().union(*(uids[series] for series in done))
        else:
            _step(queue, name)
        jobs = queue.jobs()
        assert sum(_n_own(queue, job.id) for job in jobs) == len(there) == len(queue.known_files())
        for job in jobs:
            open_jobs = [one for one in jobs if one.series == job.series and one.state in ("receiving", "waiting")]
            assert len(open_jobs) <= 1
    queue.close()


def _uid(file: str) -> str:
    return file.partition("/")[2].removesuffix(".dcm")


def _n_own(queue: JobQueue, job: int) -> int:
    (count,) = queue._connection.execute("SELECT count(*) FROM instance WHERE job = ?", (job,)).fetchone()
    return count


def _step(queue: JobQueue, name: str) -> None:
    """Take the first job that the step is for."""
    if name == "start":
        queue.start_next()
    elif name == "sent":
        for job in queue.jobs("sending"):
            for file in queue.unsent(job.id):
                queue.sent(job.id, file)
            queue.finish(job.id)
    else:
        state = {"complete": "receiving", "restored": "restoring", "refuse": "restoring"}[name]
        for job in queue.jobs(state)[:1]:
            {"complete": queue.complete, "refuse": lambda id_: queue.refuse(id_, "why")}.get(
                name, lambda id_: queue.restored(id_, [f"{id_}-1/a.dcm"])
            )(job.id)
    assert all(job.state in FINAL or job.n_instances for job in queue.jobs())


def test_the_queue_is_for_its_user_alone(tmp_path):
    tmp_path.chmod(0o755)
    queue = JobQueue(tmp_path / "queue.sqlite", Clock())
    add(queue, instance(1))
    assert {path.stat().st_mode & 0o077 for path in tmp_path.glob("queue.sqlite*")} == {0}
    queue.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_no_queue_is_refused(tmp_path, read_only):
    path = tmp_path / "queue.sqlite"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(RefusedInputError, match="cannot be opened: file is not a database; look at its rights"):
        JobQueue(path, Clock(), read_only=read_only)
