"""The blocks of one level of the U-shape, and the choice of their evaluation."""

from collections.abc import Callable, Iterable
from typing import Optional, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bundle.tat.networks.restormer import TransformerBlock
from bundle.tat.networks.strip_blocks import run_in_strips
from bundle.tat.networks.strips import STRIP_MEMORY, evaluates_in_strips
from bundle.tat.networks.training_blocks import evaluates_pixels_first, pixels_first, run_pixels_first, samples_first
from bundle.tat.networks.weight_adaptive import BlockKernels

RunBlock = Callable[[TransformerBlock, Tensor, Optional[BlockKernels]], Tensor]


class Stage(nn.ModuleList):
    """The transformer blocks of one level, one after the other, all with the same generated kernels.

    Args:
        n_blocks: number of blocks.
        channels: width ``C``.
        n_heads: number of attention heads.
        window: side of the TLC windows in pixels at this level.
        expansion: expansion of the feed-forward networks.
        bias: biases in the convolutions.
        adaptive: let generated kernels adapt the depthwise convolutions.
        max_memory: memory for the intermediate results of a strip, where blocks are evaluated in strips [MiB]. With
            ``None``, CPUs use the plain evaluation too, in inference and in training.
        gradient_checkpointing: keep only each block's input for the backward pass, and compute the rest again.

    Shape:
        features ``(B, C, H, W)`` -> ``(B, C, H, W)``.
    """

    def __init__(
        self,
        n_blocks: int,
        channels: int,
        n_heads: int,
        *,
        window: int,
        expansion: float,
        bias: bool,
        adaptive: bool,
        max_memory: Optional[float] = STRIP_MEMORY,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__(
            TransformerBlock(channels, n_heads, window=window, expansion=expansion, bias=bias, adaptive=adaptive)
            for _ in range(n_blocks)
        )
        self.window = window
        self.max_memory = max_memory
        self.gradient_checkpointing = gradient_checkpointing

    def forward(self, features: Tensor, kernels: Optional[BlockKernels] = None) -> Tensor:
        """Run the blocks."""
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            blocks = cast("Iterable[TransformerBlock]", self)
            if self.max_memory is not None and evaluates_in_strips(features):
                return run_in_strips(blocks, features, kernels, max_memory=self.max_memory)
            if self.max_memory is not None and evaluates_pixels_first(features, self.window):
                return samples_first(self._run_recorded(run_pixels_first, pixels_first(features), kernels))
            if self.gradient_checkpointing and torch.is_grad_enabled():
                return self._run_recorded(TransformerBlock.__call__, features, kernels)
        for block in self:
            features = block(features, kernels)
        return features

    @torch.jit.unused
    def _run_recorded(self, run: RunBlock, features: Tensor, kernels: Optional[BlockKernels]) -> Tensor:
        """Run the blocks with what the backward pass needs."""
        for block in cast("Iterable[TransformerBlock]", self):
            if self.gradient_checkpointing:
                # Nothing in a block is random, so there is no state of a generator to keep.
                features = checkpoint(run, block, features, kernels, use_reentrant=False, preserve_rng_state=False)
            else:
                features = run(block, features, kernels)
        return features
