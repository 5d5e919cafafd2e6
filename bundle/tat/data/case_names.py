"""Names of scans that differ from each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_BETWEEN: Final = "_"


def name_apart(paths: Sequence[Path]) -> list[str]:
    """Name scans by the last parts of their paths: as many as make each name different from the others.

    Names that are shared grow by one folder at a time, all that share one together. So the names depend on the set of
    the paths and not on their order, and a folder above all of them is in no name.

    Args:
        paths: absolute; the last part is the name of a scan if no other scan has it.

    Returns:
        A name for each path, without slashes. Two names are equal only if the paths are equal, or if their parts give
        the same text (``a/b_c`` and ``a_b/c``).
    """
    parts = [path.parts[1:] for path in paths]
    folders = list(zip(*(one[:-1] for one in parts), strict=False))
    n_common = next((depth for depth, names in enumerate(folders) if len(set(names)) > 1), len(folders))
    longest = [len(one) - n_common for one in parts]
    n_parts = [1] * len(parts)
    while True:
        names = [_BETWEEN.join(one[-n:]) for one, n in zip(parts, n_parts, strict=True)]
        counts = Counter(names)
        shared = [index for index, name in enumerate(names) if counts[name] > 1 and n_parts[index] < longest[index]]
        if not shared:
            return names
        for index in shared:
            n_parts[index] += 1
