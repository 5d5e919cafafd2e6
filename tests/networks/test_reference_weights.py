import pytest
import torch

from bundle.tat.networks import TAT
from bundle.tat.networks.reference_weights import from_reference, to_reference
from bundle.tat.networks.strict_loading import UnfitWeightsError
from tests.networks.golden import reference, reference_state_dict

SMALL = {"dim": 8, "num_blocks": (2, 1, 3, 2), "num_refinement_blocks": 2, "task_features": 4}


@pytest.mark.golden
def test_names_and_shapes_are_the_authors():
    config = reference()["config"]
    network = TAT(num_blocks=config["num_blocks"], num_refinement_blocks=config["num_refinement_blocks"])
    renamed = to_reference(network.state_dict())
    assert {name: list(value.shape) for name, value in renamed.items()} == reference()["parameters"]


@pytest.mark.parametrize("adaptive", [True, False])
def test_there_and_back(adaptive):
    state_dict = TAT(**SMALL, adaptive=adaptive).state_dict()
    back = from_reference(to_reference(state_dict))
    assert back.keys() == state_dict.keys()
    assert all(torch.equal(back[name], state_dict[name]) for name in state_dict)


def test_missing_and_unexpected_names_are_listed():
    weights = reference_state_dict()
    weights["latent.0.attn.other"] = weights.pop("latent.0.attn.dw_kernel")
    with pytest.raises(
        ValueError, match=r"1 missing \['latent.0.attn.dw_kernel'\], 1 unexpected \['latent.0.attn.other'\]"
    ):
        from_reference(weights)


def test_a_gap_in_the_blocks_is_missing():
    state_dict = TAT(**SMALL).state_dict()
    without = {name: value for name, value in state_dict.items() if not name.startswith("encoder3.1.")}
    with pytest.raises(ValueError, match=r"11 missing \['encoder3.1.attention"):
        to_reference(without)


@pytest.mark.parametrize(
    ("switch", "message"),
    [
        ({"pooled_features": True}, "no pooled features"),
        ({"adapt_encoder": True}, r"unexpected \['encoder1.0"),
        ({"scale_per_head": True}, r"unexpected .*\.scale"),
    ],
    ids=str,
)
def test_what_the_authors_network_has_not_is_refused(switch, message):
    switched = TAT(**SMALL, **switch)
    with pytest.raises(ValueError, match=message):
        to_reference(switched.state_dict())
    with pytest.raises(UnfitWeightsError, match="another architecture"):
        switched.load_state_dict(from_reference(to_reference(TAT(**SMALL).state_dict())))
