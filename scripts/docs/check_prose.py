"""Plain English in pages, docstrings and messages: no long sentence or table cell, no `.4`, no word of the list below.

``python scripts/docs/check_prose.py`` names the faults by file and line. It exits with 1 if there are any. It ignores
code, and text that a script writes between two marks (``<!-- name -->`` and ``<!-- /name -->``). proselint is no
substitute. It does not limit the length of sentences and cells, and its words are those of essays.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = ("*.md", "docs/**/*.md", "models/README.md", "tests/samples/README.md", ".github/**/*.md")
MODULES: Final = ("bundle/**/*.py", "scripts/**/*.py")
MAX_WORDS: Final = 30  # of a sentence
MAX_CHARACTERS: Final = 120  # of a table cell as it is shown
# Shorter strings are names, units and pieces of a line.
MIN_MESSAGE: Final = 6  # words
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
    """A fault to mend."""

    line: int
    says: str


def _blank(match: re.Match[str]) -> str:
    """Empty lines, as many as the match has."""
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
        for match in re.finditer(r"(?<![\w.\\/%])\.\d+", line):  # %.3g is a format
            yield Fault(number, f"{match[0]}: write 0{match[0]}")
        for word, instead in WORDS.items():
            for match in re.finditer(rf"\b(?:{word})\b", line, re.IGNORECASE):
                yield Fault(number, f"{match[0]}: {instead}")


def faults(page: str) -> list[Fault]:
    """All faults of a page, by line."""
    text = shown(page)
    return sorted([*long_sentences(text), *long_cells(text), *wrong_words(text)])


def docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Docstrings of a module, its classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str()) as docstring), *_]:
                    yield docstring


def messages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Strings that a module may show to a user, with their line: no docstrings; a value in a string is one word."""
    known = {id(docstring) for docstring in docstrings(tree)}
    for node in ast.walk(tree):  # an f-string comes before its pieces
        if isinstance(node, ast.JoinedStr):
            known.update(map(id, node.values))
            pieces = [piece.value if isinstance(piece, ast.Constant) else "VALUE" for piece in node.values]
            yield node.lineno, "".join(map(str, pieces))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in known:
            yield node.lineno, node.value


def without_markup(docstring: str) -> str:
    """A docstring as a page: entries of its sections as list items, its formulas and examples left out."""
    lines, hidden = list[str](), None
    for line in docstring.splitlines():
        indent = len(line) - len(line.lstrip())
        if hidden is not None and line.strip() and indent <= hidden:
            hidden = None
        if hidden is None and re.search(r"^\s*\.\. \w+::|::$", line):
            hidden = indent
            line = line.split(":: ", maxsplit=1)[0] if line.rstrip().endswith("::") else ""
        elif hidden is not None or line.lstrip().startswith(">>>"):
            line = ""
        lines.append(re.sub(r"^\s+(\*{0,2}\w+(?: \([^)]*\))?): ", r"- \1: ", line))
    return "\n".join(lines)


def faults_of_code(module: str) -> list[Fault]:
    """Faults of the docstrings and messages of a module, by line."""
    tree = ast.parse(module)
    texts = [(node.lineno, without_markup(str(node.value))) for node in docstrings(tree)]
    texts += [
        (line, text)
        for line, text in messages(tree)
        if len(text.split()) >= MIN_MESSAGE
        and re.search(r"(?<!\S)[a-z]+\b", text)  # a list of names has no such word
        and not re.match(r"\s*(CREATE|SELECT|INSERT|UPDATE|DELETE|PRAGMA) ", text)
    ]
    return sorted(
        Fault(first + fault.line - 1, fault.says)
        for first, text in texts
        for fault in (*long_sentences(text), *wrong_words(text))
    )


def check(root: Path) -> list[str]:
    """Faults of the pages and modules below a folder, one line each."""
    return [
        f"{path.relative_to(root).as_posix()}:{fault.line}: {fault.says}"
        for patterns, judge in ((PAGES, faults), (MODULES, faults_of_code))
        for path in sorted({path for pattern in patterns for path in root.glob(pattern)})
        for fault in judge(path.read_text(encoding="utf-8"))
    ]


def main(arguments: list[str] | None = None) -> int:
    """Check the pages and modules of the repository."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    said = check(ROOT)
    print(*said, sep="\n", end="\n" if said else "")
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
