"""Help is plain, whole and quick."""

import inspect
import json
import subprocess
import sys
from importlib import import_module

import pytest

from bundle.tat.verbs.perform import VERBS as WORK
from bundle.tat.version import VERSION
from bundle.tat_command import main
from bundle.tat_command.verbs import VERBS
from tests.test_layout import ROOT

LOADED = """
import sys
from bundle.tat_command import main
code = main(sys.argv[1:])
print(code, *{name for name in sys.modules if name in ("torch", "monai", "numpy", "bundle.tat")}, file=sys.stderr)
"""
# Options that are no ids of a config, but the verb's own.
OWN = {"data", "deep", "full", "json", "layout", "small", "verbose"}
CONFIGS = {
    "restore": ["inference.json"],
    "info": ["inference.json"],
    "train": ["train.json", "small.json", "augmented.json"],
    "evaluate": ["train.json", "evaluate.json"],
}


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], []], ids=str)
def test_help_has_one_line_for_each_verb(words, capsys):
    assert main(words) == 0
    shown = capsys.readouterr()
    lines = [line.split(maxsplit=1) for line in shown.out.splitlines() if line.startswith("  ")]
    assert dict(lines) == {name: verb.says for name, verb in VERBS.items()}
    assert shown.err == ""


@pytest.mark.parametrize("name", VERBS)
def test_help_of_a_verb_names_its_words(name, capsys):
    assert main([name, "IN", "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: tat {name}")
    assert all(f"\n  {place.shown} " in shown for place in VERBS[name].places)
    assert all(f"\n  --{option.name} {option.value}".rstrip() in shown for option in VERBS[name].options)
    assert max(map(len, shown.splitlines())) <= 100
    main(["help", name])
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("name", CONFIGS)
def test_what_the_help_names_is_an_id(name):
    known = set().union(*(json.loads((ROOT / "configs" / file).read_text()) for file in CONFIGS[name]))
    named = {option.name for option in VERBS[name].options} | {place.name for place in VERBS[name].places}
    assert named - OWN <= known


def test_each_verb_has_work_to_do():
    assert set(WORK) == set(VERBS) - {"version"}


def test_every_verb_is_in_the_documents():
    page = (ROOT / "docs" / "reference" / "command.md").read_text()
    assert [name for name in VERBS if f"`tat {name}" not in page] == []


@pytest.mark.parametrize(
    ("words", "code"), [(["--help"], 0), (["restore", "-h"], 0), (["version"], 0), (["restor"], 1), (["restore"], 1)]
)
def test_what_needs_no_network_does_not_wait_for_it(words, code):
    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stderr.splitlines()[-1] == str(code)


def test_version_is_that_of_the_bundle(capsys):
    assert main(["--version"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"tat {VERSION}"
    assert [line.split()[0] for line in shown] == ["tat", "python", "torch", "monai", "pydicom", "nibabel"]


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["restor", "a", "b"], "restore"),
        (["inof"], "info"),
        (["help", "trian"], "train"),
        (["trian", "--help"], "train"),
    ],
)
def test_a_misspelt_verb_is_refused_in_one_line_that_names_the_nearest(words, nearest, capsys):
    assert main(words) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("refused: tat has no verb ")
    assert shown.err.endswith(f"Did you mean {nearest}?\n")


def test_no_verb_is_named_that_is_not_near(capsys):
    assert main(["qqqqq"]) == 1
    assert "Did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "place", "function"),
    [
        ("score", "bundle.tat.evaluation.restored", "score_restored"),
        ("compare", "bundle.tat.evaluation.comparison", "compare_runs"),
        ("draw", "bundle.tat.visualize.restored", "draw_restored"),
        ("diagnose", "bundle.tat.diagnosis.tasks", "diagnose_tasks"),
        ("export", "bundle.tat.export.files", "export_files"),
    ],
)
def test_words_of_a_verb_without_ids_are_arguments_of_what_it_calls(verb, place, function):
    parameters = inspect.signature(getattr(import_module(place), function)).parameters
    words = {option.name for option in VERBS[verb].options} | {word.name for word in VERBS[verb].places}
    assert words - OWN == set(parameters)
    needed = {name for name, one in parameters.items() if one.default is one.empty}
    assert needed - {"config_file"} == {word.name for word in VERBS[verb].places if not word.is_optional}
