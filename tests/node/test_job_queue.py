"""The queue on disk, without a network."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.node.clock import Clock
from bundle.tat.node.files import NodeFiles
from bundle.tat.node.job_queue import FINAL, MAX_STARTS, Instance, Job, JobQueue, Missing, SeriesTooLargeError
from bundle.tat.node.status import describe_queue
from bundle.tat.refusal import RefusedInputError

LARGE = 10**9


def instance(number: int, series: int = 1, n_bytes: int = 10, digest: str = "d", syntax: str = "s") -> Instance:
    return Instance(f"1.{series}.{number}", "1", f"1.{series}", syntax, digest, n_bytes)


def add(queue: JobQueue, one: Instance, max_series: int = LARGE, caller: str = "CT1", association: str = "a"):
    return queue.add(one, caller, association, lambda series: f"{series}/{one.uid}.dcm", max_series)


def release(queue: JobQueue, association: str = "a") -> None:
    queue.end_deliveries(association, "released")


@pytest.fixture
def queue(tmp_path):
    opened = JobQueue(tmp_path / "queue.sqlite", Clock())
    yield opened
    opened.close()


def test_objects_of_a_series_are_one_job(queue):
    assert [add(queue, instance(n, series)).series for n, series in ((1, 1), (1, 2), (2, 1))] == [1, 2, 1]
    assert [(job.n_instances, job.n_bytes) for job in queue.jobs()] == [(2, 20), (1, 10)]
    assert queue.files(queue.jobs()[0]) == ["1/1.1.1.dcm", "1/1.1.2.dcm"]


@pytest.mark.parametrize(
    ("again", "is_conflict", "is_compared"),
    [
        (instance(1), False, False),
        (instance(1, syntax="other"), False, True),
        (instance(1, syntax="other", digest="other"), False, True),
        (instance(1, digest="other"), True, False),
        (Instance("1.1.1", "1", "1.2", "s", "d", 10), True, False),
        (Instance("1.1.1", "2", "1.1", "s", "d", 10), True, False),
    ],
)
def test_an_object_that_came_before(queue, again, is_conflict, is_compared):
    assert add(queue, instance(1)) == (1, True, False, "")
    compared = "1/1.1.1.dcm" if is_compared else ""
    assert queue.add(again, "CT1", "b", pytest.fail, LARGE) == (1, False, is_conflict, compared)
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
        queue.add(instance(1), "CT1", "a", fail, LARGE)
    assert queue.jobs() == []
    assert add(queue, instance(1)).is_new


def test_a_job_is_taken_once(queue):
    add(queue, instance(1)), release(queue)
    assert queue.start_next() is None
    queue.complete(1)
    assert queue.start_next().id == 1
    assert queue.start_next() is None


def test_what_is_being_restored_waits_again_after_a_kill(queue):
    add(queue, instance(1)), release(queue)
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
    with pytest.raises(
        RefusedInputError, match=f"job 1 is {state}: pass the number of an incomplete, refused or failed"
    ):
        queue.retry(1)
    with pytest.raises(RefusedInputError, match="job 7 is not in the queue"):
        queue.retry(7)


def test_a_series_that_broke_off_is_incomplete_until_its_sender_comes_again(queue):
    add(queue, instance(1))
    queue.end_deliveries("a", "interrupted")
    job = queue.complete(1)
    assert (job.state, job.reason, job.doubt) == ("incomplete", "the connection of CT1 broke off", "")
    assert queue.start_next() is None
    add(queue, instance(1), association="b")  # an object that is there: its sender is back
    assert queue.jobs()[0].state == "receiving"
    release(queue, "b")
    job = queue.complete(1)
    assert (job.state, job.reason, job.doubt) == ("waiting", "", "")


@pytest.mark.parametrize("how", ["other caller", "begun before", "interrupted", "silent", "other series", "still open"])
def test_what_does_not_make_a_series_whole_again(queue, how):
    if how == "begun before":
        add(queue, instance(2), association="b")
    add(queue, instance(1))
    queue.end_deliveries("a", "interrupted")
    number = 2 if how == "other series" else 1
    add(queue, instance(3, number), association="b", caller="PACS" if how == "other caller" else "CT1")
    if how != "still open":
        queue.end_deliveries("b", how if how in ("interrupted", "silent") else "released")
    assert queue.complete(1).state == "incomplete"


@pytest.mark.parametrize("how", ["interrupted", "silent"])
def test_a_delivery_that_brought_nothing_new_leaves_no_doubt(queue, how):
    add(queue, instance(1)), release(queue)
    add(queue, instance(1), association="b")
    queue.end_deliveries("b", how)
    job = queue.complete(1)
    assert (job.state, job.doubt) == ("waiting", "")


def test_what_was_being_received_when_the_process_ended_was_interrupted(queue):
    add(queue, instance(1)), add(queue, instance(1, 2), association="b")
    release(queue, "b")
    queue.recover()
    assert [queue.complete(job).state for job in (1, 2)] == ["incomplete", "waiting"]


def test_an_object_that_was_refused_is_missing_until_it_comes(queue):
    add(queue, instance(1)), release(queue)
    queue.complete(1)
    for number in (2, 3):
        queue.miss(Missing(f"1.1.{number}", "1", "1.1", 0xA700))
    queue.miss(Missing("1.1.1", "1", "1.1", 0xC000))  # it is there
    queue.miss(Missing("1.2.1", "1", "1.2", 0xC000))  # of another series, of which nothing is there
    assert queue.jobs()[0].state == "receiving"  # it did not wait for its turn any longer
    assert queue.complete(1).reason == "2 objects were refused (status A700)"
    add(queue, instance(2), association="b"), release(queue, "b")
    assert queue.complete(1).reason == "1 object was refused (status A700)"
    add(queue, instance(3), association="c"), release(queue, "c")
    assert queue.complete(1).state == "waiting"
    add(queue, instance(2, 2), association="d"), release(queue, "d")
    assert queue.complete(2).reason == "1 object was refused (status C000)"


def test_silence_is_a_doubt_and_no_lack(queue):
    add(queue, instance(1))
    queue.end_deliveries("a", "silent")
    job = queue.complete(1)
    assert (job.state, job.doubt) == ("waiting", "CT1 stopped sending")
    assert job.remark == "the series may be incomplete: CT1 stopped sending"
    add(queue, instance(2), association="b"), release(queue, "b")
    assert queue.complete(1).doubt == ""


def test_an_incomplete_series_is_restored_when_it_is_asked_for(queue):
    add(queue, instance(1))
    queue.end_deliveries("a", "interrupted")
    queue.complete(1)
    assert queue.retry(1).state == "incomplete"
    job = queue.start_next()
    assert (job.reason, job.doubt) == ("", "the connection of CT1 broke off")


def test_what_needs_a_look_is_kept_longer(queue):
    add(queue, instance(1)), add(queue, instance(1, 2)), add(queue, instance(1, 3))
    queue.miss(Missing("1.2.9", "1", "1.2", 0xA700)), queue.miss(Missing("1.4.9", "1", "1.4", 0xA700))
    queue.refuse(1, "why"), queue.complete(2), queue.restored(3, ["a"]), queue.finish(3)
    assert queue.remove_before(float("inf"), 0.0) == [(3, [3])]
    assert [job.id for job in queue.jobs()] == [1, 2]
    assert queue.remove_before(0.0, float("inf")) == [(1, [1]), (2, [2])]
    assert queue._connection.execute("SELECT (SELECT count(*) FROM missing), (SELECT count(*) FROM delivery)") \
        .fetchone() == (0, 0)  # fmt: skip


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
        st.tuples(st.sampled_from(["add", "miss"]), st.integers(1, 3), st.integers(1, 4)),
        st.tuples(st.sampled_from(["complete", "start", "restored", "refuse", "sent", "retry", "kill", "remove"])),
        st.tuples(st.sampled_from(["release", "interrupt"])),
    ),
    max_size=40,
)


class Model:
    """A queue, and what is to be in it: one caller sends, over one association after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queue = JobQueue(path, Clock())
        self.there: set[str] = set()
        self.n_ended = 0
        # Numbers of series: those that broke off, those that the association sent of, and brought anything new of.
        self.broken: set[int] = set()
        self.sent_of: set[int] = set()
        self.brought: set[int] = set()
        self.missing: set[str] = set()

    @property
    def association(self) -> str:
        return f"a{self.n_ended}"

    def add(self, series: int, number: int) -> None:
        one = instance(number, series)
        is_new = add(self.queue, one, association=self.association).is_new
        assert is_new is (one.uid not in self.there)
        self.there.add(one.uid)
        self.missing.discard(one.uid)
        self.sent_of.add(series)
        self.brought |= {series} if is_new else set()

    def miss(self, series: int, number: int) -> None:
        one = instance(number, series)
        self.queue.miss(Missing(one.uid, one.study_uid, one.series_uid, 0xA700))
        self.missing |= {one.uid} - self.there

    def release(self) -> None:
        self.queue.end_deliveries(self.association, "released")
        self.broken -= self.sent_of
        self._end()

    def interrupt(self) -> None:
        self.queue.end_deliveries(self.association, "interrupted")
        self.broken |= self.brought
        self._end()

    def kill(self) -> None:
        """An open transaction would be undone by the next process that opens it."""
        self.queue.close()
        self.queue = JobQueue(self.path, Clock())
        self.queue.recover()
        self.broken |= self.brought
        self._end()

    def _end(self) -> None:
        self.sent_of, self.brought, self.n_ended = set(), set(), self.n_ended + 1

    def complete(self) -> None:
        for job in self.queue.jobs("receiving")[:1]:
            series = self._series_of(job)
            is_whole = series not in self.broken and all(_number(uid) != series for uid in self.missing)
            assert self.queue.complete(job.id).state == ("waiting" if is_whole else "incomplete")

    def start(self) -> None:
        self.queue.start_next()

    def restored(self) -> None:
        for job in self.queue.jobs("restoring")[:1]:
            self.queue.restored(job.id, [f"{job.id}-1/a.dcm"])

    def refuse(self) -> None:
        for job in self.queue.jobs("restoring")[:1]:
            self.queue.refuse(job.id, "why")

    def retry(self) -> None:
        for job in self.queue.jobs("incomplete", "refused")[:1]:
            self.queue.retry(job.id)

    def sent(self) -> None:
        for job in self.queue.jobs("sending"):
            for file in self.queue.unsent(job.id):
                self.queue.sent(job.id, file)
            self.queue.finish(job.id)

    def remove(self) -> None:
        jobs = self.queue.jobs()
        open_series = {job.series for job in jobs if job.state not in FINAL}
        done = {job.series: self._series_of(job) for job in jobs if job.series not in open_series}
        assert {series for series, _ in self.queue.remove_before(float("inf"), float("inf"))} == done.keys()
        gone = set(done.values())
        self.there = {uid for uid in self.there if _number(uid) not in gone}
        left = {_number(uid) for uid in self.there}
        self.broken, self.brought, self.sent_of = self.broken - gone, self.brought - gone, self.sent_of - gone
        # Those of a series of which nothing was ever taken are old, too.
        self.missing = {uid for uid in self.missing if _number(uid) in left}

    def check(self) -> None:
        jobs = self.queue.jobs()
        n_own = [
            self.queue._connection.execute("SELECT count(*) FROM instance WHERE job = ?", (job.id,)) for job in jobs
        ]
        assert sum(count.fetchone()[0] for count in n_own) == len(self.there) == len(self.queue.known_files())
        for job in jobs:
            assert job.state in FINAL or job.n_instances
            to_fill = [one for one in jobs if one.series == job.series and one.state in ("receiving", "waiting")]
            assert len(to_fill) <= 1

    def _series_of(self, job: Job) -> int:
        return _number(self.queue.files(job)[0].partition("/")[2])


def _number(uid: str) -> int:
    """The series that a UID of ``instance`` belongs to."""
    return int(uid.split(".")[1])


@given(steps=STEPS)
def test_no_object_is_lost_and_none_is_there_twice(steps, tmp_path_factory):
    """Whatever happens in whatever order, killed or not: each object belongs to one job until its series is removed.

    A series waits for its restoration if nothing is known to be missing of it, and is incomplete otherwise.
    """
    model = Model(Path(tmp_path_factory.mktemp("queue")) / "queue.sqlite")
    for name, *numbers in steps:
        getattr(model, name)(*numbers)
        model.check()
    model.queue.close()


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
    with pytest.raises(RefusedInputError, match="cannot be opened: file is not a database; check its permissions"):
        JobQueue(path, Clock(), read_only=read_only)
