"""What the tests of a node have in common."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.node.network import Archive
    from tests.node.steps import Steps


@pytest.fixture(autouse=True)
def collected_sockets() -> Iterator[None]:
    """pynetdicom leaves the socket of a connection that fails to the collector, which warns: the tests ignore it."""
    yield
    gc.collect()


@pytest.fixture
def archive() -> Iterator[Archive]:
    """A receiver of derived series."""
    from tests.node.network import Archive  # it needs the extra ``node``

    one = Archive()
    yield one
    one.stop()


@pytest.fixture
def steps(tmp_path: Path, archive: Archive) -> Iterator[Callable[..., Steps]]:
    """Makes nodes that send to the archive and are ended with the test."""
    from tests.node.steps import Steps

    made: list[Steps] = []

    def make(**more) -> Steps:
        made.append(Steps(tmp_path / "node", archive, **more))
        return made[-1]

    yield make
    for one in made:
        one.end()
