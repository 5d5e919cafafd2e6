"""The table of how exact strips are."""

from __future__ import annotations

import importlib

import pytest
import torch

from tests.networks.test_tat import small


@pytest.fixture
def check(monkeypatch):
    return importlib.import_module("scripts.benchmarks.check_strips")


def test_strips_agree_and_other_weights_do_not(check):
    whole, strips, other = small(max_memory=None), small(max_memory=0.01), small(max_memory=0.01)
    with torch.no_grad():
        other.head[-1].weight[0, 0, 1, 1] += 1e-3
    same, different = check.measure((56, 40), 2, [whole, strips, other])
    assert same < 1e-5 < different
