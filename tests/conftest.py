import logging
import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

# Properties are checked on the same examples everywhere, so that a failure on one machine is one on all.
settings.register_profile(
    "default", max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _logging_stays_as_it_is() -> Iterator[None]:
    """Scripts quieten the package for the whole of their process, which here is that of all tests."""
    package, disabled = logging.getLogger("bundle.tat"), logging.root.manager.disable
    level = package.level
    yield
    package.setLevel(level)
    logging.disable(disabled)


def pytest_configure() -> None:
    # Sums depend on the number of threads; tests that compare with other processes need the same number there.
    torch.set_num_threads(int(os.environ.setdefault("OMP_NUM_THREADS", "1")))
    # Waiting threads that spin take the cores away from the other test processes.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
