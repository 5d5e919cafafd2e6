import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed import HashStore

from bundle.tat.cases import sharding
from bundle.tat.cases.sharding import Ranks, share_of_rank
from bundle.tat.cases.table import CaseRow


def rank_of(rank, n_ranks):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANK", str(rank))
        patch.setenv("WORLD_SIZE", str(n_ranks))
        return Ranks()


@given(sizes=st.lists(st.integers(0, 1000), max_size=30), n_ranks=st.integers(1, 6))
def test_every_case_is_of_one_rank_and_the_work_is_even(sizes, n_ranks):
    items = [{"size": size, "number": number} for number, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharding, "n_bytes", lambda item: item["size"])
        shares = [share_of_rank(items, rank_of(rank, n_ranks)) for rank in range(n_ranks)]
    assert sorted(item["number"] for share in shares for item in share) == list(range(len(items)))
    for share in shares:
        assert [item["size"] for item in share] == sorted((item["size"] for item in share), reverse=True)
    loads = [sum(max(1, item["size"]) for item in share) for share in shares]
    assert max(loads) - min(loads) <= max([1, *sizes])


def test_who_hands_in_last_gets_the_rows_of_all(monkeypatch):
    store = HashStore()
    monkeypatch.setattr(sharding, "rendezvous", lambda *_, **__: iter([(store, 0, 3)]))
    rows = [CaseRow(f"case {rank}", "CT", "restored", seconds=1.5) for rank in range(3)]
    assert rank_of(2, 3).gather(rows[2:]) is None
    assert rank_of(0, 3).gather(rows[:1]) is None
    assert rank_of(1, 3).gather(rows[1:2]) == rows


def test_without_an_answer_a_rank_speaks_for_itself(monkeypatch, caplog):
    def nobody(*_, **__):
        raise RuntimeError("connection refused")

    monkeypatch.setattr(sharding, "rendezvous", nobody)
    rows = [CaseRow("a", "CT", "restored")]
    with caplog.at_level(logging.WARNING):
        assert rank_of(1, 2).gather(rows) == rows
    assert "rank 1 shows its own cases only, since torchrun does not answer: connection refused" in caplog.text


def test_ranks_are_started_by_torchrun(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match="RANK is not set: start several processes with torchrun"):
        Ranks()
