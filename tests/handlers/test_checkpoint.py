import random

import numpy as np
import pytest
import torch

from bundle.tat.handlers.checkpoint import random_states, save_whole, set_random_states


def test_random_generators_go_on_where_they_were(tmp_path):
    save_whole(random_states(), tmp_path / "states.pt")

    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002, S311

    expected = draw()
    set_random_states(torch.load(tmp_path / "states.pt", weights_only=True))
    assert draw() == expected


def test_a_kill_during_writing_leaves_the_last_good_file(tmp_path, monkeypatch):
    path = tmp_path / "weights" / "model.pt"
    save_whole({"a": torch.ones(3)}, path)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("bundle.tat.atomic.os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        save_whole({"a": torch.zeros(3)}, path)
    assert torch.equal(torch.load(path, weights_only=True)["a"], torch.ones(3))
