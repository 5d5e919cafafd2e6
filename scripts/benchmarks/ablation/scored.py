"""Scans on which every run is scored: validation scans, and real textures, which are not used for any choice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bundle.tat.data.datalist import read_datalist
from bundle.tat.formats import case_name
from scripts.benchmarks.real_scans import condition
from scripts.data.real.parts import REAL_PARTS

Item = Mapping[str, Any]

VALIDATION: Final = "validation"
TESTING: Final = "testing"
SECTIONS: Final = (VALIDATION, TESTING)
PREPARED: Final = "{}, simulated"


def choose_scored(data: Path) -> tuple[dict[str, list[Item]], dict[str, str]]:
    """Choose the scans that are scored, so that scoring takes much less time than a run of 20 minutes.

    Args:
        data: folder of the prepared data.

    Returns:
        A list of scans for each of ``SECTIONS``, and the degradation of each case. For validation, the list has all
        scans of both lists. For the test section of the real scans, it has one case for each person and condition: with
        the middle one of several pixel sizes.
    """
    real = str(data / "real.json")
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    testing = read_datalist(real, TESTING)
    conditions = {name: condition(part) for part in REAL_PARTS for name in [Path(part.path("low")).name]}
    for item in testing:
        groups[item["subject"], conditions[Path(item["image"]).name]].append(item)
    prepared = read_datalist(str(data / "datalist.json"), VALIDATION)
    chosen = {
        VALIDATION: [*prepared, *read_datalist(real, VALIDATION)],
        TESTING: [group[len(group) // 2] for group in groups.values()],
    }
    words = {
        _case(item): conditions.get(Path(item["image"]).name, PREPARED.format(item["modality"]))
        for items in chosen.values()
        for item in items
    }
    return chosen, words


def _case(item: Item) -> str:
    return case_name(Path(item["image"]))
