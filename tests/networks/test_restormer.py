import pytest
import torch
from torch.nn import functional as F

from bundle.tat.networks.restormer import GDFN, MDTA, ChannelLayerNorm
from bundle.tat.networks.weight_adaptive import DepthwiseConv
from tests.helper import assert_batch_independent


def test_layer_norm_normalises_each_pixel():
    features = torch.rand(2, 6, 5, 7) * 10 + 3
    normalised = ChannelLayerNorm(6)(features)
    torch.testing.assert_close(normalised.mean(1), torch.zeros(2, 5, 7), rtol=0, atol=1e-5)
    torch.testing.assert_close(normalised.var(1, unbiased=False), torch.ones(2, 5, 7), rtol=0, atol=1e-4)


def test_attention_equals_its_equation():
    torch.manual_seed(0)
    mdta = MDTA(4, 2, window=64, bias=False, adaptive=False)
    features = torch.rand(1, 4, 6, 5)
    query, key, value = mdta.depthwise(mdta.to_qkv(features)).reshape(3, 2, 2, 30)
    heads = []
    for head in range(2):
        similarity = F.normalize(query[head], dim=-1) @ F.normalize(key[head], dim=-1).T
        heads.append(torch.softmax(similarity * mdta.temperature[head], dim=-1) @ value[head])
    expected = mdta.project_out(torch.cat(heads).reshape(1, 4, 6, 5))
    torch.testing.assert_close(mdta(features), expected)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width 6 is not divisible by 4 heads"):
        MDTA(6, 4, window=8, bias=False, adaptive=False)


@pytest.mark.parametrize("bias", [True, False])
def test_biases_exist_when_asked_for(bias):
    names = {name for name, _ in GDFN(4, 2.0, bias=bias, adaptive=False).named_parameters()}
    assert ("depthwise.bias" in names) is bias


@pytest.mark.parametrize("bias", [True, False])
def test_adapted_kernels_are_each_samples_own(bias):
    torch.manual_seed(0)
    conv = DepthwiseConv(5, bias=bias, adaptive_std=1.0)
    with torch.no_grad():
        conv.adaptation.normal_()
    features, generated = torch.rand(3, 5, 8, 9), torch.randn(3, 5, 1, 3, 3)
    together = conv(features, generated)
    for sample in range(3):
        kernel = conv.weight + conv.adaptation * generated[sample]
        alone = F.conv2d(features[sample : sample + 1], kernel, conv.bias, padding=1, groups=5)
        torch.testing.assert_close(together[sample : sample + 1], alone)


def test_static_convolution_ignores_nothing():
    assert_batch_independent(DepthwiseConv(5, bias=True), torch.rand(3, 5, 8, 9))
