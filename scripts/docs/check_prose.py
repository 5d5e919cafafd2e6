"""Plain English in the pages: no long sentence or table cell, no `.4`, and no word of the list below.

``python scripts/docs/check_prose.py`` names what is wrong, by file and line, and exits with 1. What a script writes
between ``<!-- name -->`` and ``<!-- /name -->`` is not judged, and code neither. proselint does not serve: it has no
bound on sentences and cells, and the words it looks for are those of essays.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = ("*.md", "docs/**/*.md", "models/README.md", "tests/samples/README.md", ".github/**/*.md")
MAX_WORDS: Final = 30  # of a sentence
MAX_CHARACTERS: Final = 120  # of a table cell as it is shown
# Words that readers of the field have to guess, and what to write.
WORDS: Final = {
    r"likewise": "also",
    r"whatever|whoever|whichever|wherever": "name what is meant",
    r"so many": "give the number",
    r"told": "say who reads, warns or refuses",
    r"as ever": "as before, or nothing",
    r"wished for": "requested",
    r"(?:be|is|are) heard": "read",
    r"(?:is|are) believed": "used",
    r"next to nothing": "give the number",
    r"for good": "permanently",
    r"by and by": "gradually",
}


class Fault(NamedTuple):
    """One thing to mend."""

    line: int
    says: str


def _blank(match: re.Match[str]) -> str:
    """Nothing, on as many lines."""
    return "\n" * match[0].count("\n")


def shown(page: str) -> str:
    """A page without blocks of code, tables made by scripts, comments and link targets. Lines keep their number."""
    page = re.sub(r"\A---\n.*?^---$", _blank, page, count=1, flags=re.DOTALL | re.MULTILINE)
    page = re.sub(r"^( *)(```+).*?^\1\2`*$", _blank, page, flags=re.DOTALL | re.MULTILINE)
    page = re.sub(r"<!-- ([\w-]+) -->\n.*?<!-- /\1 -->", _blank, page, flags=re.DOTALL)
    page = re.sub(r"<!--.*?-->", _blank, page, flags=re.DOTALL)
    return re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", page)


def without_code(page: str) -> str:
    """A page in which a piece of code within a line is one word."""
    return re.sub(r"(`+)[^`\n]+?\1", "code", page)


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """Paragraphs, list items and headings of a page, each with the number of its first line; table rows are none."""
    first, lines = 1, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        is_new = not line.strip() or re.match(r"\s*([-*>#]|\d+\.)\s", line) or line.lstrip().startswith("|")
        if is_new and lines:
            yield first, " ".join(lines)
            lines = []
        if line.strip() and not line.lstrip().startswith("|"):
            first = first if lines else number
            lines.append(line.strip())


def sentences(block: str) -> list[str]:
    """Sentences of a block: they end with a stop before a capital letter, a digit, code or the end."""
    ended = re.sub(r"\b(et al|e\.g|i\.e|vs|cf|No|Fig)\.", r"\1", block)
    return re.split(r"(?<=[.!?])[*_\")]*\s+(?=[*_\"(\[]*(?:[A-Z0-9]|code\b))", ended)


def n_words(sentence: str) -> int:
    """Words of a sentence; a piece of code is one, and signs alone are none."""
    return sum(bool(re.search(r"\w", word)) for word in sentence.split())


def long_sentences(page: str) -> Iterator[Fault]:
    """Sentences of too many words."""
    for number, block in blocks(without_code(page)):
        for sentence in sentences(block):
            if (n := n_words(sentence)) > MAX_WORDS:
                yield Fault(number, f"a sentence of {n} words, {MAX_WORDS} at most: {sentence[:60]}...")


def long_cells(page: str) -> Iterator[Fault]:
    """Cells of tables that are too long; their code counts, since it is shown."""
    rows = ((number, line) for number, line in enumerate(page.splitlines(), 1) if line.lstrip().startswith("|"))
    for number, row in rows:
        for cell in map(str.strip, re.split(r"(?<!\\)\|", row)):
            if len(cell) > MAX_CHARACTERS:
                yield Fault(number, f"a cell of {len(cell)} characters, {MAX_CHARACTERS} at most: {cell[:60]}...")


def wrong_words(page: str) -> Iterator[Fault]:
    """Numbers without their zero, and words of the list."""
    for number, line in enumerate(without_code(page).splitlines(), 1):
        for match in re.finditer(r"(?<![\w.\\/])\.\d+", line):
            yield Fault(number, f"{match[0]}: write 0{match[0]}")
        for word, instead in WORDS.items():
            for match in re.finditer(rf"\b(?:{word})\b", line, re.IGNORECASE):
                yield Fault(number, f"{match[0]}: {instead}")


def faults(page: str) -> list[Fault]:
    """All that is wrong with a page, by line."""
    text = shown(page)
    return sorted([*long_sentences(text), *long_cells(text), *wrong_words(text)])


def check(root: Path) -> list[str]:
    """Lines that say what is wrong with the pages below a folder."""
    pages = sorted({path for pattern in PAGES for path in root.glob(pattern)})
    return [
        f"{path.relative_to(root).as_posix()}:{fault.line}: {fault.says}"
        for path in pages
        for fault in faults(path.read_text(encoding="utf-8"))
    ]


def main(arguments: list[str] | None = None) -> int:
    """Check the pages of the repository."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    said = check(ROOT)
    print(*said, sep="\n", end="\n" if said else "")
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
