"""Names of a package that are imported at their first use, so that importing the package itself takes no time."""

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path


def export_lazily(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Make a package offer the names that its source imports under ``if TYPE_CHECKING:``.

    The names are written in that one place, where type checkers see them, and are read from there. A name must not be
    that of a module of the package: the module would replace it as soon as it is imported.

    Args:
        package: the package that calls this, its ``__name__``.

    Returns:
        Its ``__getattr__``, ``__dir__`` (PEP 562) and ``__all__``.
    """
    module = sys.modules[package]
    homes = _typed_imports(Path(str(module.__file__)))

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        setattr(module, name, value)
        return value

    return get, lambda: sorted({*vars(module), *homes}), sorted(homes)


def _typed_imports(source: Path) -> dict[str, str]:
    """Each name that a module imports for type checkers alone, and the module that it comes from."""
    return {
        alias.name: str(statement.module)
        for block in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
