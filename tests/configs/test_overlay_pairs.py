"""Any two overlays work together, in either order, or are refused in one line: none undoes another without a word."""

import json
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest
import torch
from monai.bundle import ComponentLocator, ConfigParser

from bundle.tat.networks import TAT
from bundle.tat.preflight.known_ids import check_ids
from bundle.tat.preflight.overlays import INFERENCE_OVERLAYS, OF_EITHER, check_overlays
from bundle.tat.refusal import RefusedInputError
from tests.configs.conftest import CONFIGS, content

WHOLE = ("train.json", "inference.json")
OVERLAYS = sorted(
    str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.json") if path.name not in {*WHOLE, "metadata.json"}
)
OF_TRAINING = [name for name in OVERLAYS if name not in INFERENCE_OVERLAYS]
PAIRS = [("train.json", *pair) for pair in permutations(OF_TRAINING, 2)]
PAIRS += [("inference.json", *pair) for pair in permutations(sorted(INFERENCE_OVERLAYS | OF_EITHER), 2)]
LOCATOR = ComponentLocator()  # one for all: it looks through all of MONAI at its first use

# What the second overlay is there to change of the first.
NETWORK, SCHEDULE = {"network_def", "train#patch_size"}, {"epoch_length", "val_interval", "learning_rate"}
MEANT = {
    ("small.json", "ablations/basic_unet.json"): NETWORK,
    ("small.json", "ablations/swin_unetr.json"): NETWORK,
    ("small.json", "monai_label.json"): SCHEDULE,
    ("scanners.json", "sharp.json"): {"train#crop", "mri_zoom", "scanner_noise"},
}
REFUSED = {
    ("layouts/data_ixi.json", "layouts/data_aapm.json"): "both say which scans to train on: give one of them",
    ("scanners.json", "layouts/data_clean.json"): "both say which scans to train on: give one of them",
    ("augmented.json", "scanners.json"): "both say how pairs are augmented: give one of them",
    ("monai_label.json", "layouts/data_folders.json"): "both say which scans to train on: give one of them",
    ("ablations/basic_unet.json", "ablations/static_twin.json"): "both say which network is trained",
    ("ablations/static_twin.json", "ablations/warm_lambda.json"): "one has no generated kernels",
    ("ablations/no_weight_generation.json", "ablations/no_stop_gradient.json"): "one has no generated kernels",
    ("ablations/static_twin.json", "ablations/reference_start.json"): "one has no generated kernels",
    ("ablations/static_twin.json", "ablations/no_weight_generation.json"): "both leave out the generated kernels",
    ("evaluate.json", "multi_gpu_train.json"): "one scores weights, the other trains",
    ("ablations/static_twin.json", "small.json"): "give small.json before it",
    ("context.json", "small.json"): "give small.json before it",
    ("context.json", "ablations/basic_unet.json"): "both say which network is trained",
    ("monai_label.json", "small.json"): "small.json replaces the schedule of monai_label.json",
    ("small.json", "multi_gpu_evaluate.json"): "only adds several processes to evaluate.json: also give evaluate.json",
    ("sharp.json", "scanners.json"): "scanners.json replaces intervals of sharp.json: give scanners.json before it",
    ("small.json", "sharp.json"): "sharp.json only widens what is drawn by scanners.json: also give scanners.json",
}
# What each overlay is for, told by what the merged config makes.
EFFECTS = {
    "small.json": lambda made: made["network"].endswith("Restorer") or made["dim"] in (16, 20),
    "augmented.json": lambda made: {"RandKSpaceTruncationd", "RandNoiseLeveld"} <= made["train"].keys(),
    "context.json": lambda made: made["context"] == 1,
    "scanners.json": lambda made: {"LabelAsImaged", "RandScannerNoised"} <= made["train"].keys(),
    "sharp.json": lambda made: (
        "RandSharpnessd" in {type(step).__name__ for step in made["train"]["Compose"].transforms}
    ),
    "layouts/data_ixi.json": lambda made: all("SimulateDegradationd" in made[part] for part in ("train", "validate")),
    "layouts/data_clean.json": lambda made: all("SimulateDegradationd" in made[part] for part in ("train", "validate")),
    "ablations/basic_unet.json": lambda made: made["network"] == "ResidualRestorer",
    "ablations/swin_unetr.json": lambda made: made["network"] == "ResidualRestorer",
    "ablations/no_loss_balancing.json": lambda made: made["loss"] == "PlainL1Loss",
    "ablations/no_stop_gradient.json": lambda made: made["stop_gradient"] is False,
    "ablations/no_weight_generation.json": lambda made: made["adaptive"] is False,
    "ablations/static_twin.json": lambda made: made["adaptive"] is False and made["dim"] == 20,
    "ablations/adaptive_encoder.json": lambda made: made["adapt_encoder"] is True,
    "ablations/pooled_task_vector.json": lambda made: made["pooled_features"] is True,
    "ablations/scale_per_head.json": lambda made: made["scale_per_head"] is True,
    "ablations/warm_lambda.json": lambda made: made["lambda_start"] == 0.05,
}


@cache
def refusal_of(files) -> str | None:
    """The sentence that a run of these configs is refused with, before anything is read."""
    try:
        check_overlays(merge(files)["configs"])
        check_ids([str(CONFIGS / name) for name in files])
    except RefusedInputError as error:
        return str(error)
    return None


def merge(files) -> dict:
    return ConfigParser.load_config_files([str(CONFIGS / name) for name in files])


def lost(first, second) -> set[str]:
    """Ids of the first overlay whose value, or a part of it, the second replaces by another."""
    before, after = (content(name) for name in (first, second))
    return {
        mine
        for mine, value in before.items()
        for theirs in after
        if mine.startswith(f"{theirs}#") or (mine == theirs and after[theirs] != value and not mine.startswith("+"))
    }


@cache
def build(network: str) -> torch.nn.Module:
    """A network; the paper's, which is large, without numbers in it."""
    if "SwinUNETR" in network:
        pytest.importorskip("einops", reason="needs the extra comparison")
    with torch.device("meta" if json.loads(network)["_target_"] == "TAT" else "cpu"):
        return ConfigParser({"network_def": json.loads(network)}).get_parsed_content("network_def")


def make(files) -> dict:
    """What the merged configs make: names of network and loss, and the transforms by their names."""
    parser = ConfigParser(merge(files))
    parser.locator = LOCATOR
    network = build(json.dumps(parser["network_def"]))
    parser["context"] = network.context if isinstance(network, TAT) else 0  # what the config says, without a network
    transforms = {
        part: {type(step).__name__: step for step in parser.get_parsed_content(f"{part}#preprocessing").transforms}
        for part in ("train", "validate")
    }
    return {
        "network": type(network).__name__,
        "context": parser["context"],
        "dim": getattr(getattr(network, "embed", None), "out_channels", None),
        "adaptive": getattr(network, "tren", None) is not None,
        "stop_gradient": getattr(network, "stop_gradient", None),
        "lambda_start": parser["network_def"].get("lambda_start"),
        "adapt_encoder": getattr(network, "adapt_encoder", None),
        "pooled_features": getattr(getattr(network, "tren", None), "pooled_features", None),
        "scale_per_head": any(name.endswith("scale.weight") for name, _ in network.named_parameters()),
        "loss": type(parser.get_parsed_content("loss_def")).__name__,
        **transforms,
    }


@pytest.mark.parametrize("files", PAIRS, ids=" + ".join)
def test_two_overlays_work_together_or_are_refused(files):
    refusal = refusal_of(files)
    _, first, second = files
    if refusal is not None:
        assert "\n" not in refusal
        assert first in refusal or second in refusal
        return
    assert lost(first, second) <= MEANT.get((first, second), set())
    if files[0] == "train.json":
        made = make(files)
        for name in (first, second):
            assert EFFECTS.get(name, bool)(made), f"{name} does nothing beside the other"


@pytest.mark.parametrize(("pair", "why"), REFUSED.items(), ids=str)
def test_a_pair_that_cannot_be_meant_is_refused(pair, why):
    assert why in refusal_of(("train.json", *pair))


def test_most_pairs_are_not_refused():
    """Refusing all of them would be right by the first test, and of no use."""
    pairs = [files for files in PAIRS if "sharp.json" not in files]  # which goes with one alone
    refused = {files for files in pairs if refusal_of(files)}
    assert len(refused) < len(pairs) / 3
    assert not {files for files in refused if {"augmented.json", "ablations/no_loss_balancing.json"} & {*files}} - {
        files for files in refused if {"multi_gpu_evaluate.json", "scanners.json"} & {*files}
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("train.json", "small.json", "small.json"), "small.json is given twice"),
        (("inference.json", "augmented.json"), "augmented.json is an overlay of train.json, not of inference.json"),
        (("train.json", "multi_gpu_inference.json"), "an overlay of inference.json, not of train.json"),
        (("train.json", "multi_gpu_evaluate.json"), "also give evaluate.json"),
    ],
)
def test_what_belongs_to_another_config_is_refused(files, message):
    with pytest.raises(RefusedInputError, match=message):
        check_overlays(files)


def test_three_overlays_are_looked_at_in_pairs():
    files = ("train.json", "small.json", "augmented.json", "layouts/data_ixi.json", "evaluate.json")
    assert refusal_of(files) is None
    assert "evaluate.json and multi_gpu_train.json do not go together" in refusal_of((*files, "multi_gpu_train.json"))


def test_the_rules_name_shipped_overlays():
    from bundle.tat.preflight import overlays

    for rule in (*overlays._APART, *overlays._BEFORE, *overlays._WITH):
        assert rule.some | rule.others <= set(OVERLAYS)
    assert set(OVERLAYS) >= INFERENCE_OVERLAYS


def test_an_overlay_of_ones_own_may_replace_what_it_likes(tmp_path):
    own = {"train#datalist": [], "learning_rate": 1.0}
    (tmp_path / "mine.json").write_text(json.dumps(own))
    files = ("train.json", "small.json", "layouts/data_ixi.json", str(tmp_path / "mine.json"))
    check_overlays(merge(files)["configs"])
    assert Path(files[-1]).name not in merge(files)["configs"]
