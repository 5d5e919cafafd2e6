"""Write the pages of the site: copies of the repository's Markdown in the same folders, and pages of the API.

It writes ``build/pages``, from which ``zensical build`` makes the site (``mkdocs.yml``). Links between pages stay
valid. The bundle is not imported: docstrings are read from the sources.
"""

import argparse
import ast
import shutil
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
# Files of the site besides docs/; files that are no Markdown are linked from pages.
BESIDE: Final = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff", "LICENSE", "NOTICE"),
    *("models/README.md", "tests/samples/README.md"),
)
# Packages that other programs import, in the order of docs/concepts/walk.md.
API: Final = (
    *("networks", "losses", "inferers", "data", "dicom", "transforms", "engines", "handlers"),
    *("metrics", "evaluation", "quality", "simulation", "deploy"),
)


def public_names(package: Path) -> dict[str, str]:
    """Public names of a package, and the module of each: the imports under ``if TYPE_CHECKING:`` of its source."""
    body = ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body
    blocks = [block.body for block in body if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"]
    imports = [line for block in blocks for line in block if isinstance(line, ast.ImportFrom)]
    return {alias.name: str(line.module) for line in imports for alias in line.names}


def api_page(room: str) -> str:
    """Markdown of one package: its docstring, and for each name a mark that mkdocstrings replaces."""
    package = ROOT / "bundle" / "tat" / room
    says = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
    marks = "\n".join(f"::: {home}.{name}\n" for name, home in public_names(package).items())
    return f"# bundle.tat.{room}\n\n{says}\n\n{marks}"


def api_index() -> str:
    """Markdown of the page with the list of packages."""
    rows = "\n".join(
        f"| [`bundle.tat.{room}`]({room}.md) | {len(public_names(ROOT / 'bundle/tat' / room))} |" for room in API
    )
    return f"# Python API\n\nMade from the docstrings of `bundle/tat`.\n\n| package | names |\n| --- | --- |\n{rows}\n"


def stage(out: Path) -> None:
    """Write all pages, after removing older ones."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(ROOT / "docs", out / "docs")
    for name in BESIDE:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, out / name)
    pages = {f"{room}.md": api_page(room) for room in API} | {"README.md": api_index()}
    (out / "docs" / "reference" / "api").mkdir()
    for name, text in pages.items():
        (out / "docs" / "reference" / "api" / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "pages", help="folder for the pages; it is replaced"
    )
    stage(parser.parse_args().out)


if __name__ == "__main__":
    main()
