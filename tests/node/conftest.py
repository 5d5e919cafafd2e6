"""What the tests of a node have in common."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def collected_sockets() -> Iterator[None]:
    """pynetdicom leaves the socket of a connection that fails to the collector, which warns: the tests ignore it."""
    yield
    gc.collect()
