import json
import subprocess
import sys

import torch

from tests.configs.conftest import CONFIGS, run_config
from tests.configs.test_train import TINY, overrides, pairs  # noqa: F401 - the fixture


def test_two_ranks_train_what_one_process_trains(foreign_directory, pairs):  # noqa: F811
    """Two processes with two samples of each task learn what one learns from four, but for the order of sums."""
    two = overrides(pairs, foreign_directory / "two", network_def=TINY, n_per_task=2)
    del two["device"]
    (foreign_directory / "overlay.json").write_text(json.dumps(two))
    files = [
        str(CONFIGS / "train.json"),
        str(CONFIGS / "multi_gpu_train.json"),
        str(foreign_directory / "overlay.json"),
    ]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "monai.bundle", "run", "--config_file", str(files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr[-3000:]

    run_config(
        "train.json",
        workflow_type="train",
        **overrides(pairs, foreign_directory / "one", network_def=TINY, n_per_task=4),
    )
    states = [
        torch.load(foreign_directory / name / "weights" / "checkpoint.pt", weights_only=True) for name in ("one", "two")
    ]
    one, two_ranks = (state["objects"]["network"] for state in states)
    assert one.keys() == two_ranks.keys()
    for name in one:
        torch.testing.assert_close(two_ranks[name], one[name], rtol=1e-3, atol=1e-5, msg=name)
    # Every volume is validated once, whichever rank has it.
    assert abs(states[0]["best_metric"] - states[1]["best_metric"]) < 0.01
