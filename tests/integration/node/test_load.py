"""Nodes in processes of their own: twenty kills, four senders, a receiver that is off, a disk that is full."""

import random
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest

pytest.importorskip("pynetdicom", reason="the extra node is not installed: pip install '.[node]'")

from bundle.tat.node.job_queue import STATES
from tests.integration.node.process import (
    LONG,
    end,
    free_port,
    jobs,
    listens,
    poll,
    source_counts,
    start,
    states,
    wait_until_done,
)
from tests.node.network import Archive, associate, send, series

pytestmark = [
    pytest.mark.integration,
    # pynetdicom leaves the socket of a connection that fails for the collector to close.
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),
]


@pytest.fixture
def archive():
    one = Archive()
    yield one
    one.stop()


def send_what_is_left(port: int, left: list[Path]) -> bool:
    """One association: each object that is answered with success is taken off the list. Was it released?"""
    association = associate(port)
    while left and association.is_established:
        try:
            if association.send_c_store(pydicom.dcmread(left[0])).get("Status") != 0:
                break
        except RuntimeError:  # it has ended
            break
        left.pop(0)
    if association.is_established:
        association.release()
    return association.is_released


def send_until_taken(port: int, series_of_files: list[list[Path]]) -> None:
    """Send as a scanner does: what was not answered is sent again, and the last object after a connection broke off."""
    for files in series_of_files:
        left = list(files)
        while left:
            if not send_what_is_left(port, left) and not left:
                left = files[-1:]


def progress(folder: Path) -> int:
    """How many steps the queue has taken: objects that came, changes of state, objects that were sent."""
    return sum(job.n_instances + STATES.index(job.state) + job.n_sent for job in jobs(folder))


def kill_at_random(folder: Path, port: int, archive_port: int, chance: random.Random) -> Counter[str]:
    """Start a node, and kill it a random time after a random number of steps; returns the states that it left."""
    node = start(folder, port, archive_port, seconds=0.3)
    poll(lambda: listens(port), "the node does not listen")
    goal = progress(folder) + chance.randint(0, 12)
    poll(lambda: progress(folder) >= goal or states(folder) == {"done"}, "the node takes no steps")
    time.sleep(chance.uniform(0.0, 0.4))
    node.kill()
    node.join()
    return Counter(job.state for job in jobs(folder))


def test_nothing_is_lost_or_comes_twice_over_twenty_kills(tmp_path, archive):
    chance = random.Random(7)  # noqa: S311 - moments
    port, folder = free_port(), tmp_path / "node"
    waiting = [series(tmp_path / "in" / str(number), number, n_slices=4) for number in range(1, 13)]
    every = {str(pydicom.dcmread(path).SOPInstanceUID) for files in waiting for path in files}
    left: Counter[str] = Counter()
    with ThreadPoolExecutor(2) as pool:
        senders = [pool.submit(send_until_taken, port, mine) for mine in (waiting[::2], waiting[1::2])]
        for _ in range(20):
            left += kill_at_random(folder, port, archive.port, chance)
        node = start(folder, port, archive.port, seconds=0.0)
        for sender in senders:
            sender.result(LONG)
        wait_until_done(folder)
        end(node)
    print(f"states that 20 kills left: {dict(left)}")  # noqa: T201 - shown with -s
    assert len(list((folder / "received").glob("*/*.dcm"))) == len(every)
    assert source_counts(archive).keys() == every
    # A kill may part a series in two jobs, of which the later holds all of it. No job is sent under other UIDs again.
    assert sum(job.n_results for job in jobs(folder)) == len(archive.images)
    assert {job.series: job.n_instances for job in jobs(folder)} == dict.fromkeys(range(1, 13), 4)
    sent_again = sum(archive.came.values()) - len(archive.came)
    print(f"{len(jobs(folder))} jobs, {sent_again} objects sent again under their UID")  # noqa: T201


def memory_of(pid: int) -> dict[str, int]:
    """Memory of a process [MiB]: ``VmHWM`` at its peak, ``VmRSS`` now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines if line.startswith(("VmHWM", "VmRSS"))}


def test_four_senders_and_fifty_series(tmp_path, archive):
    """Objects of many series between each other's: none lost, none twice."""
    n_series, n_slices, port, folder = 50, 10, free_port(), tmp_path / "node"
    files = [series(tmp_path / "in" / str(n), n, n_slices=n_slices, size=256) for n in range(1, n_series + 1)]
    node = start(folder, port, archive.port, seconds=0.0, quiet=2.0)
    poll(lambda: listens(port), "the node does not listen")
    before = memory_of(node.pid)

    def send_share(number: int) -> set[int]:
        mine = [path for one in files[number::4] for path in one]
        random.Random(number).shuffle(mine)  # noqa: S311 - an order
        return set(send(port, mine))

    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send_share, range(4))) == [{0}] * 4
    received = time.monotonic() - began
    wait_until_done(folder)
    done = time.monotonic() - began
    after = memory_of(node.pid)
    end(node)
    assert len(jobs(folder)) == n_series
    assert set(archive.came.values()) == {1}
    assert source_counts(archive) == {f"1.2.3.{n}.{k}": 1 for n in range(1, 51) for k in range(1, n_slices + 1)}
    print(  # noqa: T201 - shown with -s
        f"{n_series} series of {n_slices} objects: received in {received:.1f} s, done after {done:.1f} s"
        f" ({done / n_series:.2f} s a series); memory [MiB] {before} at the start, {after} at the end"
    )
    assert after["VmHWM"] - before["VmHWM"] < 200


def test_a_receiver_that_is_off_for_a_while(tmp_path, archive):
    port, folder = free_port(), tmp_path / "node"
    archive.stop()
    node = start(folder, port, archive.port, seconds=0.0)
    poll(lambda: listens(port), "the node does not listen")
    for number in range(1, 4):
        send(port, series(tmp_path / "in" / str(number), number))
    # Pauses of 5, 10, 20 and 40 s: a minute and a quarter.
    poll(lambda: folder.with_suffix(".log").read_text().count("not sent") >= 5, "it was not tried again")
    assert states(folder) == {"sending"}
    archive.start()
    wait_until_done(folder)
    end(node)
    assert sorted(archive.came.values()) == [1] * 9


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:  # noqa: S603
        pytest.skip("no tmpfs can be mounted: run as root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)  # noqa: S603, S607


def test_a_disk_that_is_full(tmp_path, archive, small_disk):
    """What does not fit is refused with A700; series that came whole are done when there is room, others are held."""
    port, folder = free_port(), small_disk / "node"
    node = start(folder, port, archive.port, seconds=0.0)
    poll(lambda: listens(port), "the node does not listen")
    files = [series(tmp_path / "in" / str(number), number, size=256) for number in range(1, 14)]  # 5.1 MB
    n_taken = 0
    for one in files:
        statuses = send(port, one)
        assert {*statuses} <= {0x0000, 0xA700}
        n_taken += statuses.count(0x0000)
    assert 0 < n_taken < 39
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)  # noqa: S603, S607
    poll(lambda: states(folder) <= {"done", "incomplete"}, "what was taken is not done")
    whole = [job for job in jobs(folder) if job.state == "done"]
    held = [job for job in jobs(folder) if job.state == "incomplete"]
    print(f"{n_taken} of 39 objects taken; {len(whole)} series whole and sent, {len(held)} held")  # noqa: T201
    assert whole
    assert all(job.n_instances == 3 for job in whole)
    assert all("refused (status A700)" in job.reason for job in held)
    assert len(source_counts(archive)) == 3 * len(whole)
    assert [status for one in files for status in send(port, one)] == [0x0000] * 39
    poll(lambda: states(folder) == {"done"} and len(source_counts(archive)) == 39, "what came later is not done")
    end(node)
    # No series was restored in part, so none was restored twice.
    assert len(jobs(folder)) == 13
    assert len(archive.images) == 39
