"""The blocks of code in the pages: Python runs, commands exist with their words, and those on the samples run.

What cannot run is marked in its page, with the reason: ``<!-- skip: next "reason" -->``, which readers do not see.
"""

import ast
import contextlib
import re
import shlex
from pathlib import Path
from unittest import SkipTest

import monai.bundle
import pytest

from bundle.tat.preflight import check_ids
from bundle.tat.verbs import perform
from bundle.tat_command import main
from bundle.tat_command.verbs import VERBS
from bundle.tat_command.words import read_words
from tests.test_layout import PAGES, ROOT

sybil = pytest.importorskip("sybil", reason="sybil is missing: pip install '.[test]'")
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser  # noqa: E402

MAKE_VERBS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
# Runs on two cores in seconds; all else that is typed in a shell is looked at alone.
RUNS = re.compile(r"tat (version|--help|info tests/samples/|restore tests/samples/)")


def commands(block: str) -> list[str]:
    """Lines of a shell, those that go on after a backslash in one."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def words_of(line: str) -> list[str]:
    """Words of a command, without settings of variables before it and what follows it in a pipe."""
    words = shlex.split(line, comments=True)
    words = words[: next((at for at, word in enumerate(words) if word in ("|", "&&", ">", "&")), None)]
    return words[next((at for at, word in enumerate(words) if not re.match(r"\w+=", word)), len(words)) :]


def look_at(line: str) -> None:
    """Refuse a command that this repository has not, or words that it would not take."""
    words = words_of(line)
    program = Path(words[0]).name if words else ""
    if program == "torchrun":
        words, program = ["python", *words[words.index("-m") :]], "python"
    if program == "tat":
        look_at_verb(words[1:])
    elif program == "make":
        assert words[1] in MAKE_VERBS, f"make has no {words[1]}"
    elif program.startswith("python"):
        look_at_python(words[1:])


def look_at_python(words: list[str]) -> None:
    if words[:2] == ["-m", "bundle.tat"]:
        look_at_verb(words[2:])
    elif words[:3] == ["-m", "monai.bundle", "run"]:
        look_at_run(words[3:])
    elif words[:2] == ["-m", "monai.bundle"]:
        assert hasattr(monai.bundle, words[2]), f"monai.bundle has no {words[2]}"
    elif words[0] == "-m" and words[1].startswith("scripts."):
        assert (ROOT / (words[1].replace(".", "/") + ".py")).is_file(), f"there is no {words[1]}"
    elif words[0].endswith(".py"):
        assert (ROOT / words[0]).is_file(), f"there is no {words[0]}"


def look_at_run(words: list[str]) -> None:
    """A run of MONAI's own command: its configs are there, and know its ids."""
    flags = {word[2:]: value for word, value in zip(words, [*words[1:], ""], strict=True) if word.startswith("--")}
    said = re.sub(r"^[$\w/]+/configs/", "configs/", flags.pop("config_file"))
    names = ast.literal_eval(said) if said.startswith("[") else [said]
    files = [str(ROOT / name) for name in names if (ROOT / name).is_file()]
    # An overlay that the page itself writes is not there.
    assert len(files) >= len(names) - ("mine.json" in names), f"{names} are not all there"
    check_ids(files, **flags)


def look_at_verb(words: list[str]) -> None:
    """A verb of `tat`: it takes these words. Where it takes ids of configs, they are checked as in a run."""
    if words[0] in ("--help", "help", "version") or "--help" in words:
        assert set(words) & {*VERBS, "--help", "help"}
        return
    options = read_words(words[0], words[1:])
    if words[0] in ("restore", "train", "evaluate"):
        assert perform.perform(words[0], options) == 0, f"tat {shlex.join(words)} is refused"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A shell in a folder that has the bundle's samples, configs and weights."""
    for name in ("tests", "configs", "models", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)

    def type_in(example):
        for line in commands(example.parsed):
            if RUNS.match(line):
                assert main([*words_of(line)[1:], *(["--device", "cpu"] if "restore" in line else [])]) == 0, line
            else:
                with monkeypatch.context() as without_work:
                    without_work.setattr(perform, "run", lambda **_: None)
                    look_at(line)

    return type_in


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_of_code(page, shell):
    parsers = [PythonCodeBlockParser(), CodeBlockParser("bash", shell), SkipParser()]
    for example in sybil.Sybil(parsers).parse(page).examples():
        # A mark to skip says why, for whoever reads the page's source.
        with contextlib.suppress(SkipTest):
            example.evaluate()


@pytest.mark.parametrize(
    "line",
    [
        "tat recover IN OUT",
        "tat restore IN OUT --slice_batchsize 1",
        "tat compare A B --sed 1",
        "make demonstration",
        "python -m monai.bundle run --config_file configs/inference.json --slice_batchsize 1",
        "python -m monai.bundle run --config_file configs/inferences.json",
        "python -m monai.bundle runs",
        "python -m scripts.data.prepare",
    ],
)
def test_what_does_not_exist_is_found(line, shell):
    class Example:
        parsed = line

    with pytest.raises(Exception, match=r"."):
        shell(Example)
