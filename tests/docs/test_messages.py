"""docs/reference/messages.md quotes what the program really says."""

import re

import pytest

from tests.test_layout import ROOT

ROWS = re.findall(r"^\| `([^`]+)`([^|]*)\| (.+) \|$", (ROOT / "docs/reference/messages.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def sources():
    """The package's text, its strings joined where they go on in the next line."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "bundle" / "tat").rglob("*.py")))
    return re.sub(r'"\n\s*f?"', "", text)


def test_there_are_messages():
    assert len(ROWS) >= 30


@pytest.mark.parametrize(("message", "remark"), [row[:2] for row in ROWS if "MONAI)" not in row[1]])
def test_a_message_is_one_of_the_program(message, remark, sources):
    for part in filter(None, map(str.strip, re.split(r"\.\.\.", message))):
        assert part.strip("(): ") in sources
