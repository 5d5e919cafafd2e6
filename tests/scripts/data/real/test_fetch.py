"""Files of real scans are those of the list, wherever they come from."""

import hashlib
import importlib
from dataclasses import replace
from urllib.error import URLError

import pytest

from bundle.tat.modality import Modality

fetch, scans = (importlib.import_module(f"scripts.data.real.{name}") for name in ("fetch", "scans"))
CONTENT = {"1-01.dcm": b"first", "1-02.dcm": b"second"}


@pytest.fixture
def scan():
    lines = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in CONTENT.items())
    return replace(
        scans.real_scans()["liver_ct"], last=2, path="a/b", sha256=hashlib.sha256(lines.encode()).hexdigest()
    )


def write(scan, folder, **changed):
    for name, content in {**CONTENT, **changed}.items():
        path = folder / scan.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_files_at_hand_are_taken(scan, tmp_path):
    write(scan, tmp_path)
    assert [path.name for path in fetch.fetch_scan(scan, tmp_path, is_complete=True)] == list(CONTENT)


def test_other_files_are_refused(scan, tmp_path):
    write(scan, tmp_path, **{"1-02.dcm": b"another"})
    with pytest.raises(SystemExit, match=r"SHA-256 of the list of files is .* delete them and run again"):
        fetch.fetch_scan(scan, tmp_path, is_complete=True)


def test_nothing_is_downloaded_into_a_folder_at_hand(scan, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "urlopen", lambda *_, **__: pytest.fail("went online"))
    with pytest.raises(SystemExit, match=r"1-01.dcm does not exist: leave --scans out"):
        fetch.fetch_scan(scan, tmp_path, is_complete=True)


def test_missing_files_are_downloaded_at_their_commit_once(scan, tmp_path, monkeypatch):
    asked = []

    def answer(url, timeout):
        asked.append(url)
        name = url.rsplit("/", 1)[-1]
        (tmp_path / name).write_bytes(CONTENT[name])
        return (tmp_path / name).open("rb")

    monkeypatch.setattr(fetch, "urlopen", answer)
    for _ in range(2):
        fetch.fetch_scan(scan, tmp_path / "scans")
    root = f"https://raw.githubusercontent.com/oncoray/mirp/{scan.commit}/a/b"
    assert asked == [f"{root}/1-01.dcm", f"{root}/1-02.dcm"]


def test_being_offline_is_told_in_a_sentence(scan, tmp_path, monkeypatch):
    def fail(url, timeout):
        raise URLError("no route")

    monkeypatch.setattr(fetch, "urlopen", fail)
    with pytest.raises(SystemExit, match="check the connection, or pass the folder of the files as --scans"):
        fetch.fetch_scan(scan, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_person_is_in_one_split_and_a_scan_is_pinned():
    splits = {}
    for scan in scans.real_scans().values():
        splits.setdefault(scan.subject, set()).add(scan.split)
        assert len(scan.commit) == 40
        assert len(scan.sha256) == 64
        assert scan.licence.startswith("CC BY ")
        assert isinstance(scan.modality, Modality)
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"training", "validation", "testing"}
