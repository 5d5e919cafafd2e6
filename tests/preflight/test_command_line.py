"""What the command line says, read again; and what a program that is none of it keeps as it was."""

import json
import logging
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bundle.tat.preflight.command_line import check_typed_paths, is_command_line, prepare_run, read_command
from bundle.tat.refusal import RefusedInputError
from tests.configs.conftest import CONFIGS

INFERENCE = str(CONFIGS / "inference.json")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run --config_file a.json --amp True", {"config_file": "a.json", "amp": True}),
        ("run --config_file=['a.json','b.json'] --x#y=1e-4", {"config_file": ["a.json", "b.json"], "x#y": 1e-4}),
        ("run evaluating --config_file a.json", {"config_file": "a.json"}),
        ("run --config_file a.json --run_id mine --amp --axis -1", {"run_id": "mine", "amp": True, "axis": -1}),
        ("run --config_file a.json --slice-axis 0 -o out -- --trace", {"slice_axis": 0, "o": "out"}),
        ("run --meta_file m.json --logging_file l.conf --tracking mlflow", {"tracking": "mlflow"}),
    ],
)
def test_a_command_is_read_as_monai_reads_it(words, expected):
    assert read_command(words.split()) == {"config_file": "a.json"} | expected if "a.json" in words else expected


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("2026_01", "202601"),
        ("1e5", "100000.0"),
        ("a,b", r"\('a', 'b'\)"),
        ("(a)", "'a'"),
        ("a#b", "'a'"),
        ("[x]", r"\['x'\]"),
    ],
)
@pytest.mark.parametrize("form", ["--dataset_dir {}", "--output-dir={}"])
def test_a_path_that_is_read_as_something_else_is_refused_with_how_to_write_it(form, typed, read):
    words = ["run", *form.format(typed).split()]
    with pytest.raises(RefusedInputError, match=f"for {read} instead of a path: write ./{re.escape(typed)}$"):
        check_typed_paths(words)
    check_typed_paths(["run", *form.format(f"./{typed}").split()])
    assert list(read_command(["run", *form.format(f"./{typed}").split()]).values()) == [f"./{typed}"]


def test_paths_that_are_read_as_typed_are_taken():
    words = "run --dataset_dir 2024 --output_dir x --ckpt_path None --seed 1_0 --val_interval 1e1"
    check_typed_paths(words.split(" "))
    check_typed_paths(["run", "--dataset_dir", "'a b'", "--output_dir", "with space, and comma"])


def test_a_number_cannot_be_joined_to_a_path():
    with pytest.raises(RefusedInputError, match=r"--ckpt_dir 2024 for 2024 instead of a path: write \./2024"):
        check_typed_paths(["run", "--ckpt_dir", "2024"])


def test_a_file_of_arguments_is_read_too(tmp_path):
    (tmp_path / "args.json").write_text(json.dumps({"config_file": "a.json", "amp": True, "seed": 3}))
    read = read_command(["run", "--args_file", str(tmp_path / "args.json"), "--seed", "4"])
    assert read == {"config_file": "a.json", "amp": True, "seed": 4}


@pytest.fixture
def command(monkeypatch):
    """Words of a command that this process seems to be."""

    def be(*words: str) -> None:
        program = SimpleNamespace(__spec__=SimpleNamespace(name="monai.bundle.__main__"))
        monkeypatch.setitem(sys.modules, "__main__", program)
        monkeypatch.setattr(sys, "argv", ["monai/bundle/__main__.py", *words])

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return be


def test_a_misspelt_word_of_the_command_is_refused_in_one_line(command, capsys):
    command("run", "--config_file", INFERENCE, "--slice_batchsize", "1")
    with pytest.raises(RefusedInputError) as caught:
        prepare_run(["inference.json"])
    sys.excepthook(RefusedInputError, caught.value, None)
    expected = "slice_batchsize is no id of inference.json: did you mean slice_batch_size?"
    assert capsys.readouterr().err == f"refused: {expected}\n"


def test_a_good_command_goes_on(command):
    command("run", "--config_file", INFERENCE, "--slice_batch_size", "1", "--inferer#progress", "False")
    prepare_run(["inference.json"])


def test_a_program_of_ones_own_keeps_what_it_shows(monkeypatch):
    """Whatever it is called with: those are not MONAI's words."""
    monkeypatch.setattr(sys, "argv", ["mine.py", "run", "--config_file", INFERENCE, "--slice_batchsize", "1"])
    hook, filters = sys.excepthook, [*logging.getLogger("ignite.engine.engine.RestorationEvaluator").filters]
    assert not is_command_line()
    prepare_run(["inference.json"])
    with pytest.raises(RefusedInputError, match="given twice"):
        prepare_run(["train.json", "small.json", "small.json"])
    assert sys.excepthook is hook
    assert logging.getLogger("ignite.engine.engine.RestorationEvaluator").filters == filters


def test_the_real_command_line(tmp_path):
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "--config_file", INFERENCE]
    command += ["--dataset_dir", str(tmp_path), "--output_dir", "out", "--network_def#dimm", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 1
    expected = "refused: network_def#dimm is no id of inference.json: did you mean network_def#dim?"
    assert done.stderr.splitlines()[-1] == expected
    assert "Traceback" not in done.stderr
