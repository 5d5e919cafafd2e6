"""Tables in the documents: made in Markdown, and put between <!-- name --> and <!-- /name --> only."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bundle.tat.atomic import write_text

ROOT: Final = Path(__file__).parents[2]
# Both have tables of real scans.
REAL_PAGES: Final = (ROOT / "docs" / "benchmark.md", ROOT / "docs" / "README.md")


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fill(documents: Sequence[Path], sections: Mapping[str, str]) -> None:
    """Replace the text between the marks of each section; other text stays.

    If no document has the marks of a section, the script ends, so that no figures are lost.
    """
    found = set()
    for document in documents:
        text = document.read_text(encoding="utf-8")
        for name, table in sections.items():
            between = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
            text, n_places = between.subn(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
            if n_places:
                found.add(name)
        write_text(document, text)
    if missing := ", ".join(name for name in sections if name not in found):
        sys.exit(f"there are no marks for {missing}: add them to {', '.join(document.name for document in documents)}")
