"""TREN: from an image's deepest features to its task representation, and from there to its kernels."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bundle.tat.networks.restormer import hidden_width
from bundle.tat.networks.weight_adaptive import BlockKernels, draw_with_gain

# The latent level and levels 3 to 1.
N_DECODER_LEVELS: Final = 4


class TaskKernels(NamedTuple):
    """Generated kernels of each level; a static network has none, and a static encoder has none.

    Attributes:
        latent: kernels of the latent blocks, width ``8C``.
        level3: kernels of the decoder blocks at level 3, width ``4C``.
        level2: kernels of the decoder blocks at level 2, width ``2C``.
        level1: kernels shared by the decoder blocks at level 1 and the refinement blocks, width ``2C``.
        encoder3: kernels of the encoder blocks at level 3, width ``4C``.
        encoder2: kernels of the encoder blocks at level 2, width ``2C``.
        encoder1: kernels of the encoder blocks at level 1, width ``C``.
    """

    latent: Optional[BlockKernels]
    level3: Optional[BlockKernels]
    level2: Optional[BlockKernels]
    level1: Optional[BlockKernels]
    encoder3: Optional[BlockKernels]
    encoder2: Optional[BlockKernels]
    encoder1: Optional[BlockKernels]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a GELU between them, added to their input: ``(B, C, H, W) -> (B, C, H, W)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Add the output of the two convolutions."""
        return features + self.conv2(F.gelu(self.conv1(features)))


class TREN(nn.Module):
    """Task representation extraction network: infers the task and its difficulty from the image alone.

    Args:
        channels: width ``8C`` of the level-4 features; divisible by 16.
        task_features: width ``F`` of the first convolutions; the representation has ``4F`` entries.
        pooled_features: the linear layers also take the means of the level-4 features themselves. The paper's take only
            what the convolutions make of them.

    Shape:
        level-4 features ``(B, 8C, H/8, W/8)`` -> task representation ``Z (B, 4F)``.

    Source:
        arXiv:2512.14550, task representation extraction network.
    """

    def __init__(self, channels: int, task_features: int, *, pooled_features: bool = False) -> None:
        super().__init__()
        self.pooled_features = pooled_features
        self.extract = nn.Sequential(
            nn.PixelShuffle(4),
            nn.Conv2d(channels // 16, task_features, 3, padding=1),
            nn.GELU(),
            ResidualBlock(task_features),
            ResidualBlock(task_features),
            nn.Conv2d(task_features, task_features, 3, padding=1, bias=False),
            nn.GELU(),
            nn.Conv2d(task_features, task_features * 2, 3, padding=1, bias=False),
            nn.GELU(),
            nn.Conv2d(task_features * 2, task_features * 4, 3, padding=1, bias=False),
            nn.GELU(),
        )
        self.represent = nn.Sequential(
            nn.Linear(task_features * 4 + (channels if pooled_features else 0), task_features * 4, bias=False),
            nn.GELU(),
            nn.Linear(task_features * 4, task_features * 4, bias=False),
            nn.GELU(),
        )

    def forward(self, level4: Tensor) -> Tensor:
        """Represent the task of each image by ``4F`` numbers."""
        features = self.extract(level4).mean(dim=(-2, -1))
        if self.pooled_features:
            features = torch.cat([features, level4.mean(dim=(-2, -1))], 1)
        return self.represent(features)


class KernelHead(nn.Module):
    """Linear layer and GELU that turn a representation into depthwise kernels: ``(B, Z) -> (B, C, 1, 3, 3)``.

    Args:
        n_features: length ``Z`` of the task representation.
        channels: number of channels ``C`` that get a kernel each.
        n_scales: number of equal groups of channels whose kernels each image also scales, by ``2 sigmoid(linear(Z))``.
            It divides ``channels``; with 0, as in the paper, kernels stay as they are generated.
    """

    def __init__(self, n_features: int, channels: int, n_scales: int = 0) -> None:
        super().__init__()
        self.linear = nn.Linear(n_features, channels * 9, bias=False)
        self.scale = nn.Linear(n_features, n_scales, bias=False) if n_scales else None

    def forward(self, representation: Tensor) -> Tensor:
        """Generate one 3x3 kernel for each sample and channel."""
        kernels = F.gelu(self.linear(representation))
        if self.scale is not None:
            scales = 2 * torch.sigmoid(self.scale(representation))
            kernels = kernels.reshape(scales.shape[0], scales.shape[1], -1) * scales[..., None]
        return kernels.reshape(representation.shape[0], -1, 1, 3, 3)


class WeightGeneration(nn.Module):
    """Two heads for each level, which generate its kernels from the task representation.

    Args:
        n_features: length ``Z`` of the task representation.
        widths: widths of the decoder's levels: latent, 3, 2, 1. Then those of the encoder's levels 3, 2, 1, if its
            kernels are generated, too.
        expansion: expansion of the feed-forward networks.
        scaled_heads: attention heads of each level, to scale the kernels of each head's query, key and value, and of
            each half of the feed-forward network, see ``KernelHead``. ``None`` scales none.

    Shape:
        task representation ``(B, Z)`` -> kernels of each level.
    """

    def __init__(
        self, n_features: int, widths: Sequence[int], expansion: float, scaled_heads: Optional[Sequence[int]] = None
    ) -> None:
        super().__init__()
        n_heads = [0] * len(widths) if scaled_heads is None else scaled_heads
        self.for_encoder = len(widths) > N_DECODER_LEVELS
        self.attention = nn.ModuleList(
            KernelHead(n_features, 3 * width, 3 * n) for width, n in zip(widths, n_heads, strict=True)
        )
        self.feed_forward = nn.ModuleList(
            KernelHead(n_features, 2 * hidden_width(width, expansion), 0 if scaled_heads is None else 2)
            for width in widths
        )

    def forward(self, representation: Tensor) -> TaskKernels:
        """Generate the kernels of all levels."""
        attention = [head(representation) for head in self.attention]
        feed_forward = [head(representation) for head in self.feed_forward]
        kernels = [BlockKernels(attention[level], feed_forward[level]) for level in range(len(attention))]
        return TaskKernels(
            latent=kernels[0],
            level3=kernels[1],
            level2=kernels[2],
            level1=kernels[3],
            encoder3=kernels[4] if self.for_encoder else None,
            encoder2=kernels[5] if self.for_encoder else None,
            encoder1=kernels[6] if self.for_encoder else None,
        )


@torch.no_grad()
def init_with_gain(module: nn.Module, gain: float) -> None:
    """Initialise the layers of TREN or of the heads so that differences between images stay large.

    PyTorch's initialisation, which the authors use, makes the signal smaller in each of a dozen layers. The kernels are
    then near 1e-5, and differ between images by a hundredth of that. So lambda and the heads hardly learn. Here a
    layer's weights have the standard deviation ``gain / sqrt(fan in)``, and its biases are 0.

    Args:
        module: its convolutions and linear layers are changed in place.
        gain: about 2 keeps the size of small signals, since a GELU halves them.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            draw_with_gain(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def static_kernels() -> TaskKernels:
    """Empty kernels, with which all blocks use their shared ones."""
    return TaskKernels(latent=None, level3=None, level2=None, level1=None, encoder3=None, encoder2=None, encoder1=None)
