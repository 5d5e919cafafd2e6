import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from bundle.tat.networks.dconv_strips import VECTOR, dconv_strips, divide_dconv

N_PARTS = 3


def convolutions(*, bias: bool, channels: int = 5, out_channels: int = 7 * N_PARTS) -> tuple[nn.Conv2d, nn.Conv2d]:
    torch.manual_seed(0)
    pointwise = nn.Conv2d(channels, out_channels, 1, bias=bias)
    return pointwise, nn.Conv2d(out_channels, out_channels, 3, padding=1, groups=out_channels, bias=bias)


def norm(rows: Tensor) -> Tensor:
    return F.layer_norm(rows, rows.shape[-1:])


@given(
    height=st.integers(1, 30),
    width=st.integers(1, 9),
    n_rows=st.integers(1, 30),
    cut=st.integers(0, 30),
    bias=st.booleans(),
)
@torch.inference_mode()
def test_strips_of_any_height_are_those_of_the_whole_map(height, width, n_rows, cut, bias):
    pointwise, depthwise = convolutions(bias=bias)
    features = torch.rand(height, width, 5)
    expected = depthwise(pointwise(norm(features).permute(2, 0, 1)[None]))[0].permute(1, 2, 0).chunk(N_PARTS, -1)
    parts = divide_dconv(pointwise, depthwise.weight, depthwise.bias, n_parts=N_PARTS, dtype=torch.float32)
    max_memory = n_rows * 2 * width * VECTOR * 4 * N_PARTS / 2**20
    cuts = sorted({0, min(cut, height), height})
    n_rows_seen = 0
    for top, bottom, strip in dconv_strips(features, norm, parts, cuts=cuts, max_memory=max_memory):
        assert top == n_rows_seen
        assert bottom - top <= n_rows
        n_rows_seen = bottom
        # Given rows may be overwritten.
        features[top:bottom] = torch.nan
        for rows, part in zip(strip, expected, strict=True):
            torch.testing.assert_close(rows[..., :7], part[top:bottom])
            assert not rows[..., 7:].any()
    assert n_rows_seen == height
