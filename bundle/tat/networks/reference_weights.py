"""Converting the authors' parameter names to ours and back, to use weights that were trained with their release.

Source:
    Names and shapes of the released implementation, github.com/Yaziwel/TAT at 28eb160.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from torch import Tensor

_STAGES: Final = MappingProxyType(
    {
        "encoder_level1": "encoder1",
        "encoder_level2": "encoder2",
        "encoder_level3": "encoder3",
        "latent": "latent",
        "decoder_level3": "decoder3",
        "decoder_level2": "decoder2",
        "decoder_level1": "decoder1",
        "refinement": "refinement",
    }
)
_BLOCK: Final = MappingProxyType(
    {
        "norm1.body.weight": "norm1.weight",
        "norm1.body.bias": "norm1.bias",
        "attn.temperature": "attention.temperature",
        "attn.qkv.weight": "attention.to_qkv.weight",
        "attn.project_out.weight": "attention.project_out.weight",
        "norm2.body.weight": "norm2.weight",
        "norm2.body.bias": "norm2.bias",
        "ffn.project_in.weight": "feed_forward.project_in.weight",
        "ffn.project_out.weight": "feed_forward.project_out.weight",
    }
)
_STATIC_BLOCK: Final = MappingProxyType(
    {
        "attn.qkv_dwconv.weight": "attention.depthwise.weight",
        "ffn.dwconv.weight": "feed_forward.depthwise.weight",
    }
)
_ADAPTIVE_BLOCK: Final = MappingProxyType(
    {
        "attn.dw_kernel": "attention.depthwise.weight",
        "attn.lambda_dw": "attention.depthwise.adaptation",
        "ffn.dw_kernel": "feed_forward.depthwise.weight",
        "ffn.lambda_dw": "feed_forward.depthwise.adaptation",
    }
)
_U_SHAPE: Final = MappingProxyType(
    {
        "patch_embed.proj.weight": "embed.weight",
        "down1_2.body.0.weight": "down1.0.weight",
        "down2_3.body.0.weight": "down2.0.weight",
        "down3_4.body.0.weight": "down3.0.weight",
        "up4_3.body.0.weight": "up3.0.weight",
        "up3_2.body.0.weight": "up2.0.weight",
        "up2_1.body.0.weight": "up1.0.weight",
        "reduce_chan_level3.weight": "reduce3.weight",
        "reduce_chan_level2.weight": "reduce2.weight",
        "reduce_final.0.weight": "head.0.weight",
        "reduce_final.2.weight": "head.2.weight",
        "output.weight": "head.3.weight",
    }
)
_GENERATION: Final = MappingProxyType(
    {
        "tren.E.0.weight": "tren.extract.1.weight",
        "tren.E.0.bias": "tren.extract.1.bias",
        **{
            f"tren.E.{theirs}.body.{conv}.{kind}": f"tren.extract.{ours}.conv{conv // 2 + 1}.{kind}"
            for theirs, ours in ((2, 3), (3, 4))
            for conv in (0, 2)
            for kind in ("weight", "bias")
        },
        "tren.E.4.weight": "tren.extract.5.weight",
        "tren.E.6.weight": "tren.extract.7.weight",
        "tren.E.8.weight": "tren.extract.9.weight",
        "tren.mlp.0.weight": "tren.represent.0.weight",
        "tren.mlp.2.weight": "tren.represent.2.weight",
        **{
            f"tren.kernel_{level}_{short}.0.weight": f"weight_generation.{long}.{index}.linear.weight"
            for index, level in enumerate(("latent", "level3", "level2", "level1"))
            for short, long in (("attn", "attention"), ("ffn", "feed_forward"))
        },
    }
)
# Adaptive kernels and their factors carry a sample dimension of 1 in front on the authors' side only.
_SAMPLE_DIMENSION: Final = (".dw_kernel", ".lambda_dw")


def from_reference(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the parameters of the authors' network to those of ``TAT``; undone by ``to_reference``.

    Args:
        state_dict: the authors' parameters, of any depth and width.

    Returns:
        A state dict for ``TAT`` of the same depth and width; tensors are shared, not copied.

    Raises:
        ValueError: names are missing or unexpected; the message lists them.
    """
    names = _name_table(state_dict, _STAGES.keys(), adaptive=any(name.endswith("lambda_dw") for name in state_dict))
    _check_names(state_dict, names)
    return {
        ours: state_dict[theirs].squeeze(0) if theirs.endswith(_SAMPLE_DIMENSION) else state_dict[theirs]
        for theirs, ours in names.items()
    }


def to_reference(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the parameters of ``TAT`` to those of the authors' network; undone by ``from_reference``.

    Args:
        state_dict: parameters of a ``TAT`` without biases in its blocks, of any depth and width.

    Returns:
        A state dict in the authors' naming; tensors are shared, not copied.

    Raises:
        ValueError: names are missing or unexpected; the message lists them. Or TREN takes pooled features, which the
            authors' does not.
    """
    linear = state_dict.get(_GENERATION["tren.mlp.0.weight"])
    if linear is not None and linear.shape[0] != linear.shape[1]:
        raise ValueError("the authors' network has no pooled features: only a TAT(pooled_features=False) fits it")
    names = _name_table(state_dict, _STAGES.values(), adaptive=any(name.endswith("adaptation") for name in state_dict))
    _check_names(state_dict, names.values())
    return {
        theirs: state_dict[ours].unsqueeze(0) if theirs.endswith(_SAMPLE_DIMENSION) else state_dict[ours]
        for theirs, ours in names.items()
    }


def _name_table(present: Iterable[str], stages: Iterable[str], *, adaptive: bool) -> dict[str, str]:
    """Their names -> our names, for the network whose blocks are counted in ``present``."""
    names = dict(_U_SHAPE)
    present = list(present)
    for (theirs, ours), stage in zip(_STAGES.items(), stages, strict=True):
        numbers = [int(match[1]) for name in present if (match := re.match(rf"{stage}\.(\d+)\.", name))]
        depthwise = _ADAPTIVE_BLOCK if adaptive and not theirs.startswith("encoder") else _STATIC_BLOCK
        for number in range(max(numbers, default=0) + 1):
            for their_tensor, our_tensor in {**_BLOCK, **depthwise}.items():
                names[f"{theirs}.{number}.{their_tensor}"] = f"{ours}.{number}.{our_tensor}"
    return {**names, **_GENERATION} if adaptive else names


def _check_names(present: Mapping[str, Tensor], expected: Iterable[str]) -> None:
    """Refuse a state dict whose names are not exactly the expected ones."""
    expected = set(expected)
    missing = sorted(expected - present.keys())
    unexpected = sorted(present.keys() - expected)
    if missing or unexpected:
        raise ValueError(
            f"not the parameters of this network: {len(missing)} missing {missing}, "
            f"{len(unexpected)} unexpected {unexpected}"
        )
