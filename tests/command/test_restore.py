"""``tat restore`` from a foreign directory: what is written, said and refused."""

import logging
import subprocess
import sys

import numpy as np
import pytest

from bundle.tat_command import main
from tests.command.conftest import IDENTITY
from tests.scans import blobs, write_dicom_series, write_nifti
from tests.test_layout import ROOT

VOLUME = blobs((16, 13, 3), -1000, 1000)
STORED = np.moveaxis(VOLUME, -1, 0).astype(np.int16)


def write_folder(folder):
    for name in "ab":
        write_nifti(folder / f"{name}.nii.gz", VOLUME)
    return folder


def write_study(folder):
    for number in (1, 2):
        write_dicom_series(folder / f"series {number}", STORED, series_uid=f"1.2.{number}")
    return folder


WRITERS = {
    "file": lambda place: write_nifti(place / "a.nii.gz", VOLUME),
    "folder": lambda place: write_folder(place / "in"),
    "series": lambda place: write_dicom_series(place / "in", STORED)[0].parent,
    "study": lambda place: write_study(place / "in"),
}
RESULTS = {
    "file": ["a/a_restored.nii.gz"],
    "folder": ["a/a_restored.nii.gz", "b/b_restored.nii.gz"],
    "series": ["in/IM0001.dcm", "in/IM0002.dcm", "in/IM0003.dcm"],
    "study": [f"series {series}/IM000{image}.dcm" for series in (1, 2) for image in (1, 2, 3)],
}


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_given_is_restored(kind, foreign_directory, capsys):
    place = WRITERS[kind](foreign_directory)
    assert main(["restore", str(place.relative_to(foreign_directory)), "OUT", "--modality", "CT", *IDENTITY]) == 0
    out = foreign_directory / "OUT"
    written = [str(path.relative_to(out)) for path in sorted(out.glob("*/*")) if path.name != "restoration.json"]
    assert written == RESULTS[kind]
    *_, summary, report = capsys.readouterr().out.splitlines()
    assert " restored" in summary
    assert report == f"report: {out / 'report.html'}"


@pytest.mark.parametrize("name", ["2026_01", "1e5", "a,b", "x#y"])
def test_names_are_taken_as_typed(name, foreign_directory):
    write_nifti(foreign_directory / name / f"{name}.nii.gz", VOLUME)
    assert main(["restore", name, f"out/{name}", "--modality", "CT", *IDENTITY]) == 0
    assert (foreign_directory / "out" / name / name / f"{name}_restored.nii.gz").is_file()


def test_a_refusal_is_one_line(foreign_directory, capsys):
    write_nifti(foreign_directory / "a.nii.gz", VOLUME)
    assert main(["restore", "a.nii.gz", "OUT", *IDENTITY]) == 1
    shown = capsys.readouterr().err
    assert shown.splitlines()[0].startswith("refused: ")
    assert shown.count("nothing tells the modality of this scan") == shown.count("\n") == 1
    assert not (foreign_directory / "OUT").exists()


def test_a_missing_bundle_is_refused(foreign_directory, capsys):
    assert main(["restore", "a", "b", "--bundle_root", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith(f"refused: there is no {foreign_directory / 'nowhere' / 'configs'}")


def test_an_error_of_the_program_is_raised(foreign_directory):
    write_nifti(foreign_directory / "a.nii.gz", VOLUME)
    with pytest.raises(ModuleNotFoundError, match="no_such_network"):
        main(
            ["restore", "a.nii.gz", "OUT", "--modality", "CT", "--network_def", "{'_target_': 'torch.no_such_network'}"]
        )


def test_an_error_of_the_program_is_not_logged_on_its_way_up(foreign_directory, capsys):
    write_nifti(foreign_directory / "a.nii.gz", VOLUME)
    linear = "{'_target_': 'torch.nn.Linear', 'in_features': 3, 'out_features': 3}"
    words = ["restore", "a.nii.gz", "OUT", "--modality", "CT", "--network_def", linear, "--handlers", "[]"]
    with pytest.raises(RuntimeError, match="Failed to evaluate"):
        main([*words, "--device", "cpu"])
    assert "terminating" not in capsys.readouterr().err


def test_a_pipe_gets_a_line_a_case_and_no_bar(foreign_directory, capsys):
    for name in "abc":
        write_nifti(foreign_directory / "in" / f"{name}.nii.gz", VOLUME)
    (foreign_directory / "in" / "b.nii.gz").write_bytes(b"\x1f\x8bgarbage")
    assert main(["restore", "in", "OUT", "--modality", "CT", *IDENTITY]) == 1
    shown = capsys.readouterr().err
    assert "slice/s" not in shown
    # In the order of their ends: b may fail before a is saved.
    last, a, c, b = sorted(line.partition(" ")[2] for line in shown.splitlines())
    assert a.startswith("INFO case 1 of 3, a: restored, ")
    assert b.startswith("WARNING case 2 of 3, b: failed")
    assert c.startswith("INFO case 3 of 3, c: restored, ")
    assert last.startswith("1 case failed (b)")


def test_a_terminal_gets_the_bar_and_no_line(foreign_directory, capsys, monkeypatch):
    write_folder(foreign_directory / "in")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["restore", "in", "OUT", "--modality", "CT", *IDENTITY]) == 0
    shown = capsys.readouterr().err
    assert "6/6" in shown
    assert "INFO" not in shown


def test_the_user_may_have_the_bar_in_a_pipe(foreign_directory, capsys):
    write_nifti(foreign_directory / "a.nii.gz", VOLUME)
    assert main(["restore", "a.nii.gz", "OUT", "--modality", "CT", "--inferer#progress", "True", *IDENTITY]) == 0
    assert "3/3" in capsys.readouterr().err


def test_the_log_is_left_as_it_was(foreign_directory):
    write_nifti(foreign_directory / "a.nii.gz", VOLUME)
    loggers = [logging.getLogger(name) for name in ("", "bundle.tat", "ignite", "monai.bundle.workflows", "monai.apps")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    main(["restore", "a.nii.gz", "OUT", *IDENTITY])
    assert [(logger.level, list(logger.handlers)) for logger in loggers] == before


def run_tat(*words):
    command = [sys.executable, "-m", "bundle.tat", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def test_a_process_says_the_table_and_where_the_report_is(foreign_directory, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_nifti(foreign_directory / "2026_01" / "a,b.nii.gz", VOLUME)
    done = run_tat("restore", "2026_01", "1e5", "--modality", "CT", *IDENTITY)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["case", "a,b", "1", "report:"]
    assert done.stderr == ""
    assert (foreign_directory / "1e5" / "a,b" / "a,b_restored.nii.gz").is_file()


def test_a_refused_process_ends_in_one_line_and_can_show_all(foreign_directory, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = run_tat("restore", "nowhere", "OUT", "--verbose", *IDENTITY)
    assert done.returncode == 1
    assert "--- input summary of monai.bundle.scripts.run ---" in done.stdout
    assert done.stderr.splitlines()[-1].startswith(f"refused: {foreign_directory / 'nowhere'} does not exist")
    assert "Traceback" not in done.stderr + done.stdout
