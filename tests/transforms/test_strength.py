import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from bundle.tat.transforms import BlendWithInputd

IMAGE, RESTORED = torch.linspace(0, 1, 24).reshape(1, 4, 6), torch.linspace(1, -1, 24).reshape(1, 4, 6)


def blended(strength: float) -> torch.Tensor:
    return BlendWithInputd(strength=strength)({"image": IMAGE, "pred": RESTORED})["pred"]


@given(st.floats(0, 1))
def test_the_change_is_a_share_of_the_networks(strength):
    torch.testing.assert_close(blended(strength) - IMAGE, strength * (RESTORED - IMAGE))


def test_both_ends_are_exact():
    assert torch.equal(blended(1.0), RESTORED)
    assert torch.equal(blended(0.0), IMAGE)


def test_what_is_known_of_the_result_comes_along():
    restored = MetaTensor(RESTORED, affine=torch.eye(4) * 2, meta={"unit": "HU"})
    data = BlendWithInputd(strength=0.5)({"image": MetaTensor(IMAGE, meta={"unit": "none"}), "pred": restored})
    assert data["pred"].meta["unit"] == "HU"
    assert torch.equal(data["pred"].affine, restored.affine)
    assert torch.equal(data["image"], IMAGE)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_other_strengths_are_refused(strength):
    with pytest.raises(ValueError, match=r"strength is .*: pass 0"):
        BlendWithInputd(strength=strength)
