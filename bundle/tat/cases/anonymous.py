"""Messages about a case without anything that might name a patient: for a report that is passed on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_THE_SCAN: Final = "the scan"
# What is left of paths that nobody listed: words with a slash in them, and all that follows a root up to a colon.
_ROOTED: Final = re.compile(
    r"(?<![\w.])(?:[A-Za-z]:[\\/]|~?/)[^:;'\"]*?(?=[:;'\"]|\s(?:is|has|holds|was|are|cannot|does)\b|$)"
)
_WITH_SLASH: Final = re.compile(r"[^\s:;,'\"()]*[\\/][^\s:;,'\"()]*")
_UID: Final = re.compile(r"\b\d+(?:\.\d+){4,}\b")
_DATE: Final = re.compile(r"\b(?:19|20)\d{2}(?:[01]\d[0-3]\d|-[01]\d-[0-3]\d)\b")


def without_identity(message: str, paths: Iterable[Path] = ()) -> str:
    """Take out of a message what might name a patient: paths, names of files, UIDs and dates.

    Args:
        message: a sentence about a case.
        paths: where its scan lies, and the files of it.

    Returns:
        The sentence with other words in their place.
    """
    known = {str(form) for path in paths for form in (path, path.absolute(), path.parent, path.parent.absolute())}
    known |= {path.name for path in paths}
    for text in sorted(known - {"", ".", "/"}, key=len, reverse=True):
        message = message.replace(text, _THE_SCAN)
    for pattern, word in ((_ROOTED, _THE_SCAN), (_WITH_SLASH, _THE_SCAN), (_UID, "a UID"), (_DATE, "a date")):
        message = pattern.sub(word, message)
    return message
