"""The compared networks: TAT, and networks that each differ from it in one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

N_TASKS: Final = 3
# Samples of each task in a step of small.json.
N_PER_TASK: Final = 2
# Trainings that continue from weights start with 4e-4 to 8e-4 for 4,000 steps and more, with the root mean square loss.
CONTINUED: Final = ("--learning_rate", 4e-4, "--loss_def#measure", "root_mean_square")

Start = Literal["random", "weights", "frozen"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One of the networks that are compared.

    Args:
        name: name of its files and of its rows in tables.
        words: description for the table.
        overlays: configs of the arm.
        task: the only task that it is trained on; ``None`` for all.
        options: further options of training and scoring.
        start: random weights, given weights, or given weights with kernels frozen at their mean (``frozen.py``).
        trains: whether it is trained.
        reference: arm that it is compared with.
    """

    name: str
    words: str
    overlays: Sequence[str] = ()
    task: str | None = None
    options: Sequence[object] = ()
    start: Start = "random"
    trains: bool = True
    reference: str = "tat"


class Run(NamedTuple):
    """An arm with a seed."""

    arm: Arm
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its folder and of its results."""
        return f"{self.arm.name}_{self.seed}"


def _alone(task: str, n_samples: int, name: str, words: str) -> Arm:
    return Arm(name=f"{task}_{name}", words=words, task=task, options=("--tasks", task, "--n_per_task", n_samples))


TAT: Final = Arm(name="tat", words="TAT")
STATIC: Final = Arm(
    name="static_equal_parameters",
    words="no generated kernels, wider: as many parameters",
    overlays=("ablations/static_twin",),
)
NARROW: Final = Arm(
    name="static_equal_operations",
    words="no generated kernels, as wide: as many operations",
    overlays=("ablations/no_weight_generation",),
)
UNBALANCED: Final = Arm(
    name="no_loss_balancing", words="all samples count alike", overlays=("ablations/no_loss_balancing",)
)
UNSTOPPED: Final = Arm(
    name="no_stop_gradient", words="the encoder learns from the kernels too", overlays=("ablations/no_stop_gradient",)
)
ALONE: Final = tuple(
    _alone(task, N_PER_TASK * N_TASKS, "alone", f"{task} alone, as many patches as all tasks together")
    for task in ("CT", "MRI", "PET")
)
SAME_PATCHES: Final = tuple(
    _alone(task, N_PER_TASK, "alone_same_patches", f"{task} alone, the patches of {task} that TAT saw")
    for task in ("CT", "MRI", "PET")
)
STARTED: Final = Arm(name="start_tat", words="given weights of TAT", start="weights", trains=False)
FROZEN: Final = Arm(
    name="start_static",
    words="these weights, kernels frozen at their mean",
    overlays=("ablations/no_weight_generation",),
    start="frozen",
    trains=False,
    reference="start_tat",
)
CONTINUED_TAT: Final = Arm(name="continue_tat", words="given weights, trained on", options=CONTINUED, start="weights")
CONTINUED_STATIC: Final = Arm(
    name="continue_static",
    words="the frozen ones, trained on",
    overlays=("ablations/no_weight_generation",),
    options=CONTINUED,
    start="frozen",
    reference="continue_tat",
)

# The most informative runs come first, so that the last ones are missing if time runs out.
SEEDED: Final = (TAT, STATIC, UNBALANCED)
RUNS: Final = (
    *(Run(arm) for arm in SEEDED),
    *(Run(arm) for arm in (STARTED, FROZEN, CONTINUED_TAT, CONTINUED_STATIC)),
    *(Run(arm, seed) for seed in (1, 2) for arm in SEEDED),
    *(Run(arm) for arm in (UNSTOPPED, *ALONE)),
    *(Run(NARROW, seed) for seed in range(3)),
    *(Run(arm) for arm in SAME_PATCHES),
)
MUON: Final = Arm(name="muon", words="TAT, its matrices updated by Muon", overlays=("muon",))
POOLED: Final = Arm(
    name="pooled_task_vector",
    words="TAT, Z made of the means of level 4 too",
    overlays=("ablations/pooled_task_vector",),
)


def _with_muon(arm: Arm) -> Arm:
    return replace(
        arm,
        name=f"muon_{arm.name}",
        words=f"{arm.words}; Muon",
        overlays=(*arm.overlays, *MUON.overlays),
        reference=MUON.name,
    )


# Run only if named: another optimiser, other networks, other starts, and other ways to generate kernels.
MORE_RUNS: Final = (
    *(Run(arm) for arm in (MUON, *map(_with_muon, (STATIC, UNBALANCED, POOLED)))),
    Run(
        replace(
            CONTINUED_TAT,
            name="continue_muon",
            words="given weights, trained on, matrices updated by Muon",
            overlays=("muon",),
            reference=CONTINUED_TAT.name,
        )
    ),
    Run(POOLED),
    *(
        Run(Arm(name=name, words=words, overlays=(f"ablations/{name}",)))
        for name, words in (
            ("basic_unet", "MONAI's BasicUNet"),
            ("swin_unetr", "MONAI's SwinUNETR"),
            ("reference_start", "TAT, its kernels started as the authors' do"),
            ("warm_lambda", "TAT, the factors of its generated kernels started at 0.05"),
            ("adaptive_encoder", "TAT, kernels generated for the encoder too, which runs twice"),
            ("scale_per_head", "TAT, Z scales the generated kernels of each head too"),
        )
    ),
)
ARMS: Final = {run.arm.name: run.arm for run in (*RUNS, *MORE_RUNS)}


def chosen_runs(arms: Sequence[str] | None, seeds: Sequence[int] | None) -> list[Run]:
    """The chosen runs, in their order.

    Args:
        arms: names; ``None`` for all arms except those that run only if named.
        seeds: seeds of all arms; ``None`` for the seeds of ``RUNS``.
    """
    runs = [run for run in (*RUNS, *MORE_RUNS) if run.arm.name in arms] if arms else [*RUNS]
    if seeds is None:
        return runs
    named = dict.fromkeys(run.arm.name for run in runs)
    return [Run(ARMS[name], seed) for seed in seeds for name in named]
