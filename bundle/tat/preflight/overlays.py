"""Which of the shipped overlays go together, and in which order."""

from collections.abc import Sequence
from itertools import combinations
from typing import Final, NamedTuple

from bundle.tat.refusal import RefusedInputError

# Overlays of either config.
OF_EITHER: Final = frozenset({"context.json"})
INFERENCE_OVERLAYS: Final = frozenset({"multi_gpu_inference.json", "monai_label_inference.json"})
LAYOUTS: Final = frozenset(f"layouts/data_{name}.json" for name in ("aapm", "clean", "folders", "ixi", "reference"))
OTHER_NETWORKS: Final = frozenset(f"ablations/{name}.json" for name in ("basic_unet", "swin_unetr"))
# TAT without generated kernels, and changes of what generates them.
STATIC: Final = frozenset(f"ablations/{name}.json" for name in ("no_weight_generation", "static_twin"))
OF_GENERATION: Final = frozenset(
    f"ablations/{name}.json"
    for name in (
        "adaptive_encoder",
        "no_stop_gradient",
        "pooled_task_vector",
        "reference_start",
        "scale_per_head",
        "warm_lambda",
    )
)
CHANGES_OF_TAT: Final = STATIC | OF_GENERATION | {"context.json"}
LABEL: Final = "monai_label.json"
# Training on prepared pairs and real scans: a list of scans and a recipe in one.
SCANNERS: Final = "scanners.json"
SHARP: Final = "sharp.json"
LISTS: Final = LAYOUTS | {LABEL, SCANNERS}
SCORING: Final = frozenset({"evaluate.json", "multi_gpu_evaluate.json"})


class _Rule(NamedTuple):
    """Two sets of overlays, and the reason of the refusal where one of each is given."""

    some: frozenset[str]
    others: frozenset[str]
    why: str


# One of each is too many.
_APART: Final = (
    _Rule(LISTS, LISTS, "both say which scans to train on"),
    _Rule(frozenset({"augmented.json"}), frozenset({SCANNERS}), "both say how pairs are augmented"),
    _Rule(OTHER_NETWORKS, OTHER_NETWORKS | CHANGES_OF_TAT, "both say which network is trained"),
    _Rule(STATIC, STATIC, "both leave out the generated kernels"),
    _Rule(STATIC, OF_GENERATION, "one has no generated kernels, the other changes them"),
    _Rule(SCORING, frozenset({"multi_gpu_train.json", LABEL}), "one scores weights, the other trains"),
)
# One of the first set undoes one of the second unless it comes before it.
_BEFORE: Final = (
    _Rule(frozenset({"small.json"}), OTHER_NETWORKS | CHANGES_OF_TAT, "replaces the network of"),
    _Rule(frozenset({"small.json"}), frozenset({LABEL}), "replaces the schedule of"),
    _Rule(frozenset({SCANNERS}), frozenset({SHARP}), "replaces intervals of"),
)
# An overlay of the first set does nothing without one of the second.
_WITH: Final = (
    _Rule(frozenset({"multi_gpu_evaluate.json"}), frozenset({"evaluate.json"}), "only adds several processes to"),
    _Rule(frozenset({SHARP}), frozenset({SCANNERS}), "only widens what is drawn by"),
)


def check_overlays(configs: Sequence[str]) -> None:
    """Refuse overlays of which one would undo another without a message.

    Args:
        configs: the value of the id ``configs``: names of the shipped configs that were merged, the whole one first,
            as in ``configs/``. Overlays that a user has written are not among them.

    Raises:
        RefusedInputError: two overlays do not go together, or not in this order; or one belongs to another config.
    """
    whole, *overlays = configs
    for name in overlays:
        wanted = "inference.json" if name in INFERENCE_OVERLAYS else "train.json"
        if whole != wanted and name not in OF_EITHER:
            raise RefusedInputError(f"{name} is an overlay of {wanted}, not of {whole}: give {wanted} first")
    for first, second in combinations(overlays, 2):
        _check_pair(first, second)
    for rule in _WITH:
        for name in rule.some.intersection(overlays):
            if not rule.others.intersection(overlays):
                (missing,) = rule.others
                raise RefusedInputError(f"{name} {rule.why} {missing}: also give {missing}")


def _check_pair(first: str, second: str) -> None:
    """Refuse two overlays, the first given before the second."""
    if first == second:
        raise RefusedInputError(f"{first} is given twice: give it once")
    for rule in _APART:
        if (first in rule.some and second in rule.others) or (second in rule.some and first in rule.others):
            raise RefusedInputError(f"{first} and {second} do not go together, {rule.why}: give one of them")
    for rule in _BEFORE:
        if second in rule.some and first in rule.others:
            raise RefusedInputError(f"{second} {rule.why} {first}: give {second} before it")
