"""The paper's network trains, if slowly, on a CPU."""

import resource

import pytest
import torch

from tests.configs.conftest import foreign_directory, run_config  # noqa: F401 - the fixture
from tests.configs.test_train import overrides, pairs  # noqa: F401 - the fixture

pytestmark = pytest.mark.slow


def test_two_optimiser_steps_with_accumulation(foreign_directory, pairs):  # noqa: F811
    """One sample of each task at a time, two times for each step; a sample keeps about 3 GB of activations."""
    steps = {"n_per_task": 1, "accumulation_steps": 2, "epochs": 1, "epoch_length": 4, "val_interval": 5}
    workflow = run_config("train.json", workflow_type="train", **overrides(pairs, foreign_directory, **steps))
    network, optimizer = (workflow.parser.get_parsed_content(name) for name in ("network", "optimizer"))
    assert sum(parameter.numel() for parameter in network.parameters()) == 41_687_424
    assert {int(state["step"]) for state in optimizer.state.values()} == {2}
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.1f} GiB")  # noqa: T201 - what the test is run to see
    assert peak < 20
