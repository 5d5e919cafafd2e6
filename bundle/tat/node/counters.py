"""Counters for monitoring, in the text format that Prometheus reads (its node exporter takes it from a file)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Final

from bundle.tat.atomic import write_text

_HELP: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "instances_received_total": ("counter", "Objects that were accepted, each counted once"),
        "instances_repeated_total": ("counter", "Objects that had been received before"),
        "instances_refused_total": ("counter", "Objects that were refused, by DICOM status"),
        "received_bytes_total": ("counter", "Size of the objects that were accepted"),
        "associations_refused_total": ("counter", "Connections that were not accepted"),
        "volumes_restored_total": ("counter", "Volumes that were restored"),
        "restoring_seconds_total": ("counter", "Time that restoring took"),
        "instances_sent_total": ("counter", "Objects that the archive has accepted"),
        "sending_failures_total": ("counter", "Times that the archive did not answer or refused"),
        "jobs": ("gauge", "Series in the queue, by state"),
        "free_bytes": ("gauge", "Free space on the disk of the queue"),
        "written_timestamp_seconds": ("gauge", "When this file was written"),
    }
)


class Counters:
    """What a node has done since it was started. Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, value: float = 1, *, label: str = "") -> None:
        """Count.

        Args:
            name: one of the counters.
            value: how much.
            label: of the value, such as ``status="A700"``.
        """
        if name not in _HELP:
            raise KeyError(name)
        with self._lock:
            self._values[name, label] += value  # type: ignore[assignment]  # seconds are no whole numbers

    def __getitem__(self, name: str) -> float:
        with self._lock:
            return sum(value for (known, _), value in self._values.items() if known == name)

    def write(self, path: Path, gauges: Mapping[tuple[str, str], float]) -> None:
        """Write all values, whole or not at all.

        Args:
            path: file to write.
            gauges: present values, by name and label.

        Raises:
            RefusedInputError: the file system does not let us.
        """
        with self._lock:
            values = {**self._values, **gauges}
        lines = []
        for name, (kind, says) in _HELP.items():
            lines += [f"# HELP tat_node_{name} {says}.", f"# TYPE tat_node_{name} {kind}"]
            found = {label: value for (known, label), value in sorted(values.items()) if known == name}
            if kind == "counter" and not found:
                found = {"": 0}
            lines += [f"tat_node_{name}{{{label}}} {value:.17g}".replace("{}", "") for label, value in found.items()]
        write_text(path, "\n".join(lines) + "\n")
