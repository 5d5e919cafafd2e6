import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bundle.tat import atomic
from bundle.tat.atomic import folder_written_whole, make_folder, write_json, written_whole


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with written_whole(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "new"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with written_whole(path) as temporary:
            temporary.write_text("ne")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"cannot write .*a\.txt: No space left"), written_whole(tmp_path / "a.txt"):
        raise OSError(28, "No space left on device")


def test_json_is_strict_and_replaces_an_older_file(tmp_path):
    path = tmp_path / "new" / "summary.json"
    write_json(path, {"p": 1})
    write_json(path, {"p": 0.1 + 0.2})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"p": float("nan")})
    assert json.loads(path.read_text()) == {"p": 0.1 + 0.2}
    assert list(path.parent.iterdir()) == [path]


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write_folder(path: Path, *names: str) -> None:
    with folder_written_whole(path) as temporary:
        for name in names:
            (temporary / name).write_text(name)


def test_a_folder_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "case"
    with folder_written_whole(path) as temporary:
        (temporary / "a.txt").write_text("a")
        assert temporary.name.startswith(".case.partial-")
        assert not path.exists()
    assert content(tmp_path) == {"deep/case/a.txt": "a"}


def test_an_older_folder_is_replaced_with_all_that_is_in_it(tmp_path):
    write_folder(tmp_path / "case", "a", "b")
    write_folder(tmp_path / "case", "b", "c")
    assert content(tmp_path) == {"case/b": "b", "case/c": "c"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_failure_leaves_the_old_folder_and_nothing_else(tmp_path, error):
    write_folder(tmp_path / "case", "old")

    def write_half():
        with folder_written_whole(tmp_path / "case") as temporary:
            (temporary / "half").write_text("ha")
            raise error

    with pytest.raises(error):
        write_half()
    assert content(tmp_path) == {"case/old": "old"}


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    write_folder(tmp_path / "case", "old")
    rename = Path.rename

    def refuse_new(path, target):
        if ".partial-" in path.name:
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(ValueError, match=r"cannot write .*case: Permission denied"):
        write_folder(tmp_path / "case", "new")
    assert content(tmp_path) == {"case/old": "old"}


def test_two_writers_of_one_folder_do_not_mix(tmp_path):
    with folder_written_whole(tmp_path / "case") as one, folder_written_whole(tmp_path / "case") as two:
        (one / "one").write_text("1")
        (two / "two").write_text("2")
    assert content(tmp_path) == {"case/one": "1"}


def test_a_writer_that_comes_between_does_not_hurt(tmp_path, monkeypatch):
    """Another process puts its folder in place just after the old one was set aside."""
    write_folder(tmp_path / "case", "old")
    rename, others = Path.rename, iter([1])

    def rename_late(path, target):
        moved = rename(path, target)
        if ".replaced-" in target.name and next(others, None):
            (tmp_path / "case").mkdir()
            (tmp_path / "case" / "other").write_text("other")
        return moved

    monkeypatch.setattr(Path, "rename", rename_late)
    write_folder(tmp_path / "case", "new")
    assert content(tmp_path) == {"case/new": "new"}


@pytest.mark.parametrize("make", [Path.write_text, Path.symlink_to], ids=["file", "link"])
def test_what_is_no_folder_is_not_replaced(tmp_path, make):
    (tmp_path / "elsewhere").mkdir()
    make(tmp_path / "case", str(tmp_path / "elsewhere"))
    with pytest.raises(ValueError, match=r"cannot write .*case: Not a directory"):
        write_folder(tmp_path / "case", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case", "elsewhere"]


def test_what_a_killed_process_left_is_removed(tmp_path, monkeypatch):
    """By the next writer of the same folder; what a running process writes is not."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    unfinished = []  # a writer that is forgotten cleans up
    for pid in (dead.pid, os.getppid()):
        unfinished.append(folder_written_whole(tmp_path / "case"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda pid=pid: pid)
            (unfinished[-1].__enter__() / str(pid)).write_text("half")
    write_folder(tmp_path / "case", "new")
    left = {Path(name).name for name in content(tmp_path)}
    assert left == {"new", str(os.getppid())}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="other systems do not let a program flush a folder")
def test_the_names_of_new_folders_are_on_the_disk(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(atomic, "flush_folder", flushed.append)
    make_folder(tmp_path / "a" / "b" / "c", 0o700)
    assert flushed == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/b/c")} == {0o700}
    make_folder(tmp_path / "a" / "b")  # it is there
    assert len(flushed) == 3


def test_a_kill_leaves_nothing_that_is_seen(tmp_path):
    script = (
        "import os, pathlib, bundle.tat.atomic as atomic\n"
        f"with atomic.folder_written_whole(pathlib.Path({str(tmp_path / 'case')!r})) as folder:\n"
        "    (folder / 'half').write_text('ha')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)  # noqa: S603
    assert done.returncode == -9
    assert all(path.name.startswith(".case.partial-") for path in tmp_path.iterdir())
    write_folder(tmp_path / "case", "whole")
    assert content(tmp_path) == {"case/whole": "whole"}
