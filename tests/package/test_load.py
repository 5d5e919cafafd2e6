"""monai.bundle.load gives the network of the repository or an error, never a random network."""

import json
import sys

import monai.bundle
import pytest
import torch

from bundle.tat.networks import TAT
from tests.release import NAME, ROOT

# MONAI looks for other names of the weights' file only after a try to download the bundle, hence always this one.
WEIGHTS = "models/model.pt"


@pytest.fixture
def hub(tmp_path):
    """A folder of bundles, ours among them, with weights to put in place of the shipped ones."""
    bundle = tmp_path / "hub" / NAME
    (bundle / "models").mkdir(parents=True)
    for name in ("configs", WEIGHTS):
        (bundle / name).symlink_to(ROOT / name)
    return tmp_path / "hub"


def replace_weights(hub, content) -> None:
    (hub / NAME / WEIGHTS).unlink()
    torch.save(content, hub / NAME / WEIGHTS)


def shipped() -> dict:
    return torch.load(ROOT / WEIGHTS, weights_only=True)


def load(hub, **options):
    options.setdefault("workflow_type", "inference")
    return monai.bundle.load(NAME, bundle_dir=str(hub), device="cpu", **options)


def assert_restores_like(network, other) -> None:
    image = torch.rand(2, 1, 64, 48)
    with torch.inference_mode():
        assert torch.equal(network.eval()(image), other.eval()(image))


@pytest.fixture
def network() -> TAT:
    arguments = json.loads((ROOT / "configs" / "inference.json").read_text())["network_def"]
    network = TAT(**{name: value for name, value in arguments.items() if name != "_target_"})
    network.load_state_dict(shipped())
    return network


def test_loaded_network_is_that_of_the_repository(hub, network):
    loaded = load(hub)
    assert type(loaded) is TAT
    assert_restores_like(loaded, network)


def test_network_built_by_the_caller_is_filled(hub, network):
    given = TAT(dim=16, num_blocks=(1, 2, 2, 2), num_refinement_blocks=1, task_features=8, train_size=64)
    assert load(hub, model=given) is given
    assert_restores_like(given, network)


def test_nested_weights_are_loaded_by_their_key(hub, network):
    replace_weights(hub, {"model": shipped(), "step": 3})
    assert_restores_like(load(hub, key_in_ckpt="model"), network)


def without_embedding(state_dict: dict) -> dict:
    return {name: value for name, value in state_dict.items() if name != "embed.weight"}


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        # Without a workflow_type MONAI takes the network of train.json, the paper's: it must not pass for the shipped.
        (shipped, {"workflow_type": "train"}, r"of TAT would stay as they are \(.*workflow_type='inference'"),
        (lambda: {"model": shipped()}, {}, r"(\d+) of \1 weights of TAT would stay"),
        (lambda: without_embedding(shipped()), {}, r"1 of \d+ weights of TAT would stay as they are \(embed\.weight\)"),
        (shipped, {"net_override": {"dim": 24}}, "weights of TAT would stay"),
    ],
    ids=["network of the training", "nested", "incomplete", "other width"],
)
def test_weights_that_would_leave_random_ones_are_refused(hub, content, options, message):
    replace_weights(hub, content())
    with pytest.raises(RuntimeError, match=message):
        load(hub, **options)


def write_other_bundle(hub) -> None:
    """Another bundle whose code is in a package called ``bundle`` too."""
    code = hub / "other" / "bundle" / "other"
    (hub / "other" / "configs").mkdir(parents=True)
    (hub / "other" / "models").mkdir()
    code.mkdir(parents=True)
    (code / "__init__.py").write_text("import torch\n\nclass Other(torch.nn.Linear): ...\n")
    config = {"network_def": {"_target_": "bundle.other.Other", "in_features": 2, "out_features": 1}}
    (hub / "other" / "configs" / "inference.json").write_text(json.dumps(config))
    (hub / "other" / "configs" / "metadata.json").write_text((ROOT / "metadata.json").read_text())
    torch.save({"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, hub / "other" / WEIGHTS)


def test_two_bundles_live_in_one_process(hub, network, monkeypatch):
    write_other_bundle(hub)
    monkeypatch.syspath_prepend(hub / "other")
    try:
        other = monai.bundle.load("other", bundle_dir=str(hub), device="cpu", workflow_type="inference")
        ours = load(hub)
    finally:
        sys.modules.pop("bundle.other", None)
    assert type(other).__module__ == "bundle.other"
    assert other(torch.tensor([[2.0, 3.0]])).item() == 5
    assert_restores_like(ours, network)
