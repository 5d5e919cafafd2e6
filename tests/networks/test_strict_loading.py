"""No way of loading leaves a network partly random without a word, and none that should work is refused."""

import copy
import pickle

import pytest
import torch
from ignite.handlers import EMAHandler
from monai.networks.utils import copy_model_state
from torch import nn
from torch.optim.swa_utils import AveragedModel

from bundle.tat.networks import TAT
from bundle.tat.networks.reference_weights import from_reference, to_reference
from bundle.tat.networks.residual import ResidualRestorer
from bundle.tat.refusal import RefusedInputError


def small(dim: int = 8) -> TAT:
    return TAT(dim=dim, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, task_features=4, train_size=32)


def without_tren(state_dict: dict) -> dict:
    return {name: value for name, value in state_dict.items() if not name.startswith("tren.")}


def assert_equal_weights(one: nn.Module, other: nn.Module) -> None:
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


UNFIT = {
    "incomplete": lambda: without_tren(small().state_dict()),
    "nested": lambda: {"model": small().state_dict()},
    "empty": dict,
    "one too many": lambda: {**small().state_dict(), "extra": torch.zeros(1)},
    "of another width": lambda: small(dim=16).state_dict(),
    "in the authors' names": lambda: to_reference(small().state_dict()),
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("state_dict", UNFIT.values(), ids=UNFIT)
def test_unfit_weights_are_refused_before_anything_is_copied(state_dict, strict):
    network = small()
    before = copy.deepcopy(network)
    # A refusal, which the command line shows in one line, and what callers of PyTorch expect.
    for error in (RefusedInputError, RuntimeError):
        with pytest.raises(error, match=r"of another architecture than the network: \d+ "):
            network.load_state_dict(state_dict(), strict=strict)
    assert_equal_weights(network, before)


@pytest.mark.parametrize(
    ("state_dict", "n_kept"),
    [
        (UNFIT["incomplete"], 15),
        (UNFIT["nested"], 133),
        (UNFIT["empty"], 133),
        (UNFIT["of another width"], 111),
        (UNFIT["in the authors' names"], 133),
    ],
    ids=["incomplete", "nested", "empty", "of another width", "in the authors' names"],
)
def test_weights_filled_up_by_monai_are_refused(state_dict, n_kept):
    """``monai.bundle.load`` copies like this: what does not fit keeps the random weights of the network."""
    with pytest.raises(RuntimeError, match=rf"^{n_kept} of 133 weights of TAT would stay as they are \("):
        copy_model_state(small(), state_dict())


def test_monai_copies_what_fits():
    source, target = small(), small()
    copy_model_state(target, source.state_dict())
    assert_equal_weights(source, target)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("assign", [True, False])
def test_another_networks_weights_are_loaded(strict, assign):
    source, target = small(), small()
    target.load_state_dict(source.state_dict(), strict=strict, assign=assign)
    assert_equal_weights(source, target)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network)), lambda network: EMAHandler(network).ema_model],  # noqa: S301
    ids=["deepcopy", "pickle", "EMA"],
)
def test_copies_of_a_network_load_and_refuse_like_it(copied):
    network, other = small(), small()
    twin = copied(network)
    twin.load_state_dict(network.state_dict())
    twin.load_state_dict(other.state_dict())
    assert_equal_weights(twin, other)
    with pytest.raises(RuntimeError, match="15 missing"):
        twin.load_state_dict(without_tren(other.state_dict()), strict=False)


@pytest.mark.parametrize(
    "wrapped",
    [AveragedModel, nn.DataParallel, lambda network: torch.compile(network, backend="eager"), nn.Sequential],
    ids=["average", "parallel", "compiled", "sequential"],
)
def test_networks_inside_others_load_and_refuse(wrapped):
    one, other = wrapped(small()), wrapped(small())
    one.load_state_dict(other.state_dict())
    assert_equal_weights(one, other)
    incomplete = {name: value for name, value in other.state_dict().items() if "tren." not in name}
    with pytest.raises(RuntimeError, match="15 missing"):
        one.load_state_dict(incomplete, strict=False)


def test_distributed_network_loads_and_refuses(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        network = nn.parallel.DistributedDataParallel(small())
        network.load_state_dict({f"module.{name}": value for name, value in small().state_dict().items()})
        with pytest.raises(RuntimeError, match=r"133 missing .*133 unexpected \(module"):
            network.module.load_state_dict(network.state_dict(), strict=False)
    finally:
        torch.distributed.destroy_process_group()


def test_scripted_network_loads():
    scripted, other = torch.jit.script(small()), small()
    scripted.load_state_dict(other.state_dict())
    assert_equal_weights(scripted, other)


def test_networks_without_memory_are_filled():
    with torch.device("meta"):
        empty, other = small(), small()
    empty.load_state_dict(other.state_dict())
    source = small()
    empty.load_state_dict(source.state_dict(), assign=True)
    assert_equal_weights(empty, source)


def test_the_authors_weights_are_loaded_and_some_of_them_refused():
    source, target = small(), small()
    theirs = to_reference(source.state_dict())
    target.load_state_dict(from_reference(theirs))
    assert_equal_weights(source, target)
    ours = from_reference(theirs)
    del ours["embed.weight"]
    with pytest.raises(RuntimeError, match=r"1 missing \(embed\.weight\)"):
        target.load_state_dict(ours, strict=False)


def test_submodules_take_over_single_weights_on_purpose():
    source, target = small(), small()
    target.encoder1.load_state_dict(source.encoder1.state_dict())
    assert_equal_weights(source.encoder1, target.encoder1)


def test_networks_to_compare_with_are_guarded_too():
    restorer = ResidualRestorer(nn.Conv2d(1, 1, 3))
    with pytest.raises(RuntimeError, match=r"1 missing \(network\.bias\)"):
        restorer.load_state_dict({"network.weight": torch.zeros(1, 1, 3, 3)}, strict=False)
    with pytest.raises(RuntimeError, match="2 of 2 weights of ResidualRestorer"):
        copy_model_state(restorer, {"network.weight": torch.zeros(2, 1, 3, 3)})
