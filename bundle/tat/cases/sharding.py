"""Sharing cases among several processes that do not depend on each other."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

import torch
from torch.distributed.rendezvous import rendezvous

from bundle.tat.cases.fingerprint import n_bytes
from bundle.tat.cases.table import CaseRow
from bundle.tat.devices import launched_rank, local_device

logger = logging.getLogger(__name__)

# Time that the launcher has to answer.
_TIMEOUT: Final = timedelta(seconds=60)


class Ranks:
    """This process among those that ``torchrun`` started.

    They form no process group: none waits for another, and if one dies, only its own case is lost.

    Raises:
        RefusedInputError: the process was not started by ``torchrun``.
    """

    def __init__(self) -> None:
        self.rank, self.n_ranks = launched_rank()
        if torch.cuda.is_available():
            torch.cuda.set_device(local_device())

    def gather(self, rows: Sequence[CaseRow]) -> list[CaseRow] | None:
        """Hand in the rows of this rank's cases.

        Args:
            rows: one for each case.

        Returns:
            The rows of all ranks for the rank that hands in last, ``None`` for the others. When the launcher does not
            answer, the rows of this rank.
        """
        try:
            store, _, _ = next(rendezvous("env://", timeout=_TIMEOUT))
            store.set(f"rows of {self.rank}", json.dumps([asdict(row) for row in rows]))
            if store.add("ranks that are done", 1) < self.n_ranks:
                return None
            handed_in = [json.loads(store.get(f"rows of {rank}")) for rank in range(self.n_ranks)]
        except RuntimeError as error:
            logger.warning(
                "rank %d shows its own cases only, since torchrun does not answer: %s",
                *(self.rank, str(error).splitlines()[0]),
            )
            return list(rows)
        return [CaseRow(**row) for of_rank in handed_in for row in of_rank]


def share_of_rank(items: Sequence[Mapping[str, Any]], ranks: Ranks) -> list[Mapping[str, Any]]:
    """The cases that one rank restores. They are shared from the largest on, each to the rank with the least data.

    Args:
        items: all cases, in the same order on every rank.
        ranks: this process among the others.

    Returns:
        The share of this rank, largest first. Every case is in the share of one rank.
    """
    sizes = [max(1, n_bytes(item)) for item in items]
    loads = [0] * ranks.n_ranks
    share = []
    for index in sorted(range(len(items)), key=lambda index: -sizes[index]):
        rank = loads.index(min(loads))
        loads[rank] += sizes[index]
        if rank == ranks.rank:
            share.append(items[index])
    return share
