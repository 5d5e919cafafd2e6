"""The check of the English of pages and modules finds what it is for, and nothing else."""

import pytest

from scripts.docs.check_prose import check, faults, faults_of_code, main

LONG = " ".join(["word"] * 31)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{LONG}.\n", "a sentence of 31 words"),
        (f"Short. W{LONG}. Short.\n", "a sentence of 31 words"),
        (f"- Short.\n- {LONG}.\n", "a sentence of 31 words"),
        ("one line that goes on\n" * 8, "a sentence of 40 words"),
        (f"| a | b |\n| --- | --- |\n| x | {'y' * 121} |\n", "a cell of 121 characters"),
        ("It gains .4 dB.\n", ".4: write 0.4"),
        ("It loses -.23 dB.\n", ".23: write 0.23"),
        ("It is told.\n", "told: "),
        ("Likewise for PET.\n", "Likewise: also"),
        ("| a |\n| --- |\n| whatever |\n", "whatever: "),
    ],
)
def test_finds(text, says):
    (fault,) = faults(text)
    assert fault.says.startswith(says)
    assert text.splitlines()[fault.line - 1]


@pytest.mark.parametrize(
    "text",
    [
        f"{' '.join(['word'] * 30)}.\n",
        f"{' '.join(['word'] * 20)}. {' '.join(['Word'] * 20)}.\n",
        f"[word](https://example.org/{'x' * 200})\n",
        f"```text\n{LONG} .4 told\n```\n",
        f"<!-- scores -->\n| {'y' * 300} |\n\n<!-- /scores -->\n",
        f"<!-- {LONG} -->\n",
        "`.4` and `told` in code, 0.4 and v1.4.2 outside it, in a.nii.gz.\n",
        "| a | b |\n| --- | --- |\n" + f"| {'x' * 120} | {'y' * 120} |\n",
    ],
)
def test_lets_pass(text):
    assert faults(text) == []


@pytest.mark.parametrize(
    ("module", "line", "says"),
    [
        (f'"""Short.\n\n{LONG}.\n"""\n', 3, "a sentence of 31 words"),
        (f'def f():\n    """Short.\n\n    Args:\n        x: {LONG}.\n    """\n', 5, "a sentence of 32 words"),
        ('class A:\n    """It is told."""\n', 2, "told: "),
        (f'raise ValueError("{LONG}")\n', 1, "a sentence of 31 words"),
        (f'raise ValueError(f"{{x}} {LONG}")\n', 1, "a sentence of 32 words"),
        ('print(f"{x} is one of those that are told")\n', 1, "told: "),
    ],
)
def test_finds_in_code(module, line, says):
    (fault,) = faults_of_code(module)
    assert (fault.line, fault.says[: len(says)]) == (line, says)


@pytest.mark.parametrize(
    "module",
    [
        f"# {LONG} told\n",
        'logger.info("case %d of %d took %.1f s", 1, 2, 3.0)\n',
        f'def f():\n    """Short.\n\n    Args:\n        x: {LONG[:99]}\n        y: {LONG[:99]}\n    """\n',
        f'"""It is\n\n.. math:: {LONG}\n\n    {LONG} told\n\nThe end."""\n',
        f'"""Example::\n\n    {LONG} told\n"""\n',
        f'"""Is the same.\n\n>>> {LONG}\n"""\n',
        'x = "told"\n',
        f'x = "SELECT {LONG}"\n',
        f'x = "{" ".join(["Name"] * 31)}"\n',
        'x = "one two three four five %.3g mm"\n',
    ],
)
def test_lets_code_pass(module):
    assert faults_of_code(module) == []


def test_lines_keep_their_number():
    assert [fault.line for fault in faults("# Title\n\n```\na\nb\n```\n\n<!-- x\ny -->\n\nIt is told.\n")] == [11]


def test_a_fault_names_its_page_and_line(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bad.md").write_text("Good.\n\nIt gains .4 dB.\n")
    (tmp_path / "docs" / "good.md").write_text("It gains 0.4 dB.\n")
    assert check(tmp_path) == ["docs/bad.md:3: .4: write 0.4"]


def test_the_pages_pass(capsys):
    assert main([]) == 0, capsys.readouterr().out
