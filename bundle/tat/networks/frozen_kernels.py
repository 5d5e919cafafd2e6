"""Converting a TAT to a static network, which uses the same kernels for all images."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from bundle.tat.networks.tat import TAT
from bundle.tat.networks.weight_adaptive import BlockKernels, DepthwiseConv
from bundle.tat.networks.weight_generation import TaskKernels

# A static network has none of the parameters whose names begin or end so.
_OF_GENERATION = ("tren.", "weight_generation.")
_FACTOR = ".adaptation"


def adapted_convolutions(network: TAT, kernels: TaskKernels) -> Iterator[tuple[str, DepthwiseConv, Tensor]]:
    """Each adaptive convolution of a network with its generated kernels.

    Args:
        network: an adaptive TAT.
        kernels: kernels that it generated for ``B`` images.

    Yields:
        Its name, such as ``decoder1.0.attention.depthwise``, the convolution, and its kernels ``(B, C, 1, 3, 3)``,
        before the factor ``adaptation``.

    Raises:
        ValueError: the network is static.
    """
    if kernels.latent is None:
        raise ValueError("a static network generates no kernels: build TAT(adaptive=True)")
    of_stages: dict[str, BlockKernels | None] = {
        "encoder1": kernels.encoder1,
        "encoder2": kernels.encoder2,
        "encoder3": kernels.encoder3,
        "decoder1": kernels.level1,
        "decoder2": kernels.level2,
        "decoder3": kernels.level3,
        "latent": kernels.latent,
        "refinement": kernels.level1,
    }
    for stage, generated in of_stages.items():
        if generated is None:
            continue
        for block in range(len(network.get_submodule(stage))):  # type: ignore[arg-type]
            for part, of_part in zip(("attention", "feed_forward"), generated, strict=True):
                name = f"{stage}.{block}.{part}.depthwise"
                convolution = network.get_submodule(name)
                if not isinstance(convolution, DepthwiseConv):
                    raise TypeError(f"{name} is a {type(convolution).__name__}, no DepthwiseConv")
                yield name, convolution, of_part


@torch.no_grad()
def freeze_kernels(network: TAT, images: Iterable[Tensor]) -> dict[str, Tensor]:
    """Weights of a static network whose kernels are the mean of a TAT's kernels over images.

    Args:
        network: an adaptive TAT; it stays unchanged.
        images: batches ``(B, C, H, W)`` for the mean; each image has the same weight.

    Returns:
        Weights for ``TAT(adaptive=False)`` of the same depth and width.

    Raises:
        ValueError: the network is static, or there is no image.
    """
    sums: dict[str, Tensor] = {}
    n_images = 0
    for batch in images:
        n_images += len(batch)
        kernels = network.generate_kernels(network.encode(batch)[3])
        for name, convolution, generated in adapted_convolutions(network, kernels):
            total = convolution.kernels(generated).double().sum(dim=0)
            sums[name] = sums[name] + total if name in sums else total
    if not n_images:
        raise ValueError("there is no image for the mean kernels: pass one or more")
    weights = {
        name: tensor.clone()
        for name, tensor in network.state_dict().items()
        if not name.startswith(_OF_GENERATION) and not name.endswith(_FACTOR)
    }
    return weights | {f"{name}.weight": (total / n_images).float() for name, total in sums.items()}
