"""TAT, the Task-Adaptive Transformer: one network for PET synthesis, CT denoising and MRI super-resolution.

Source:
    Yang et al. 2025, "TAT: Task-Adaptive Transformer for All-in-One Medical Image Restoration", arXiv:2512.14550.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final, Optional

import torch
from torch import Tensor, nn

from bundle.tat.networks.context import middle_channels
from bundle.tat.networks.resampling import downsample, upsample
from bundle.tat.networks.stage import Stage
from bundle.tat.networks.strict_loading import StrictlyLoaded
from bundle.tat.networks.strips import STRIP_MEMORY, evaluates_in_strips, in_strips
from bundle.tat.networks.weight_adaptive import start_adaptation, start_kernels_with_gain
from bundle.tat.networks.weight_generation import TREN, TaskKernels, WeightGeneration, init_with_gain, static_kernels

# Three halvings between level 1 and level 4.
SIZE_MULTIPLE: Final = 8
N_LEVELS: Final = 4
# Side of the paper's training patches in pixels.
_PAPERS_TRAIN_SIZE: Final = 128


class TAT(StrictlyLoaded):
    """U-shaped transformer whose decoder kernels are generated for each image from its task representation.

    The network gets no label of the task: it infers the task from the image. With the defaults it is the paper's
    network of 41,687,424 parameters.

    Args:
        in_channels: channels of the degraded image: those to restore, and the same number for each neighbouring slice.
            The output corrects the middle channels, so this is an odd multiple of ``out_channels``.
        out_channels: channels of the restored image.
        dim: width ``C`` of level 1, even; levels 2, 3 and 4 have ``2C``, ``4C`` and ``8C``.
        num_blocks: transformer blocks of levels 1, 2, 3 and 4, in the encoder and in the decoder; level 4 is latent.
        num_refinement_blocks: blocks after the decoder, at full resolution and width ``2C``.
        heads: attention heads of levels 1, 2, 3 and 4; each divides its level's width.
        ffn_expansion_factor: hidden width of the feed-forward networks over the level's width.
        bias: biases in the blocks' convolutions.
        train_size: side of the training patches in pixels. The authors make the TLC windows 1.5 times as large. The
            default is 128, as in the paper, unless ``tlc_window`` is given.
        task_features: width ``F`` of TREN; the task representation has ``4F`` entries.
        adaptive: generate kernels; ``False`` gives the same U-shape with static kernels, a Restormer.
        stop_gradient: keep the gradient of the generated kernels out of the encoder, as the paper does.
        generation_gain: initial gain of the layers of TREN and of the heads, see ``init_with_gain``; ``None`` keeps
            PyTorch's initialisation, as the authors do.
        kernel_gain: initial gain of the shared kernels of the adaptive convolutions, see ``start_kernels_with_gain``.
            ``None`` is the authors' initialisation, with kernels 2 to 5 times as large as in a static convolution.
        max_memory: memory for the intermediate results of a strip of rows in inference on a CPU [MiB]. ``None``
            evaluates whole maps, with the same result in more time and memory. CPUs then train as other devices do.
        gradient_checkpointing: in training keep only the blocks' inputs, and compute the rest again in the backward
            pass. This gives the same gradients in less memory and more time.
        tlc_window: side of the TLC windows at level 1 in pixels, instead of ``train_size``; halved at each level.
        lambda_start: start of lambda, the learned factor of the generated kernels of a channel. The paper starts at 0.
        pooled_features: the task representation is also made of the means of the level-4 features, see ``TREN``.
        adapt_encoder: generate kernels for the encoder, too. It then runs twice: with its shared kernels, to get the
            task representation, and with the generated ones, to get the features that go on.
        scale_per_head: the task representation also scales the generated kernels of each attention head and of each
            half of a feed-forward network: ``W + lambda * s(Z) * G(Z)`` with ``s`` from 0 to 2. The paper has no ``s``.

    Attributes:
        tlc_window: side of the TLC windows at level 1 in pixels.
        context: number of neighbouring slices on each side that are channels of the image, in order.

    Shape:
        image ``(B, C_in, H, W)`` -> restored image ``(B, C_out, H, W)``; ``H`` and ``W`` multiples of 8, any ``B``.

    Raises:
        ValueError: arguments do not fit each other, or the sides of an image are not multiples of 8.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        dim: int = 48,
        num_blocks: Sequence[int] = (4, 6, 6, 8),
        num_refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        ffn_expansion_factor: float = 2.66,
        bias: bool = False,
        train_size: Optional[int] = None,
        task_features: int = 64,
        adaptive: bool = True,
        stop_gradient: bool = True,
        generation_gain: Optional[float] = None,
        kernel_gain: Optional[float] = None,
        max_memory: Optional[float] = STRIP_MEMORY,
        gradient_checkpointing: bool = False,
        tlc_window: Optional[int] = None,
        lambda_start: float = 0.0,
        pooled_features: bool = False,
        adapt_encoder: bool = False,
        scale_per_head: bool = False,
    ) -> None:
        super().__init__()
        _check_arguments(in_channels, out_channels, dim, num_blocks, heads)
        _check_switches(
            adaptive,
            stop_gradient,
            lambda_start=lambda_start,
            pooled_features=pooled_features,
            adapt_encoder=adapt_encoder,
            scale_per_head=scale_per_head,
        )
        self.tlc_window: int = _tlc_window(train_size, tlc_window)
        self.context: int = in_channels // out_channels // 2
        self.out_channels = out_channels
        self.stop_gradient = stop_gradient
        self.adapt_encoder = adapt_encoder
        self.max_memory = max_memory
        stage = partial(
            Stage,
            expansion=ffn_expansion_factor,
            bias=bias,
            max_memory=max_memory,
            gradient_checkpointing=gradient_checkpointing,
        )
        windows = [self.tlc_window // 2**level for level in range(N_LEVELS)]
        widths = [dim * 2**level for level in range(N_LEVELS)]
        # Level 1 keeps both halves of its skip connection, hence no reduction and twice the width.
        decoder_widths = [widths[1], *widths[1:]]

        self.embed = nn.Conv2d(in_channels, dim, 3, padding=1, bias=False)
        self.encoder1, self.encoder2, self.encoder3 = (
            stage(num_blocks[level], widths[level], heads[level], window=windows[level], adaptive=adapt_encoder)
            for level in range(3)
        )
        self.down1, self.down2, self.down3 = (downsample(width) for width in widths[:3])
        self.up3, self.up2, self.up1 = (upsample(width) for width in widths[:0:-1])
        self.reduce3, self.reduce2 = (nn.Conv2d(2 * width, width, 1, bias=bias) for width in widths[2:0:-1])
        self.decoder1, self.decoder2, self.decoder3, self.latent = (
            stage(num_blocks[level], width, heads[level], window=windows[level], adaptive=adaptive)
            for level, width in enumerate(decoder_widths)
        )
        self.refinement = stage(
            num_refinement_blocks, decoder_widths[0], heads[0], window=windows[0], adaptive=adaptive
        )
        self.head = nn.Sequential(
            nn.Conv2d(5 * dim, dim, 3, padding=1, bias=bias),
            nn.GELU(),
            nn.Conv2d(dim, dim, 1, bias=bias),
            nn.Conv2d(dim, out_channels, 3, padding=1, bias=bias),
        )
        self.tren = TREN(widths[3], task_features, pooled_features=pooled_features) if adaptive else None
        generated_widths = decoder_widths[::-1] + (widths[2::-1] if adapt_encoder else [])
        scaled_heads = [*heads[::-1], *heads[2::-1]][: len(generated_widths)] if scale_per_head else None
        self.weight_generation = (
            WeightGeneration(4 * task_features, generated_widths, ffn_expansion_factor, scaled_heads)
            if adaptive
            else None
        )
        if generation_gain is not None:
            init_with_gain(nn.ModuleList(filter(None, (self.tren, self.weight_generation))), generation_gain)
        if kernel_gain is not None:
            start_kernels_with_gain(self, kernel_gain)
        start_adaptation(self, lambda_start)

    def forward(self, image: Tensor) -> Tensor:
        """Restore degraded images ``(B, C_in, H, W)``, scaled to [0, 1] by their modality's range."""
        level1, level2, level3, level4 = self.encode(image)
        kernels = self.generate_kernels(level4)
        if self.adapt_encoder:
            level1, level2, level3, level4 = self.encode(image, kernels)
        latent = self.latent(level4, kernels.latent)
        decoded3 = self.decoder3(self.reduce3(torch.cat([self.up3(latent), level3], 1)), kernels.level3)
        decoded2 = self.decoder2(self.reduce2(torch.cat([self.up2(decoded3), level2], 1)), kernels.level2)
        decoded1 = self.decoder1(torch.cat([self.up1(decoded2), level1], 1), kernels.level1)
        refined = self.refinement(decoded1, kernels.level1)
        return middle_channels(image, self.out_channels) + self.correction([level1, decoded1, refined])

    def encode(self, image: Tensor, kernels: Optional[TaskKernels] = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features of levels 1 to 3 after their blocks, and the input of the latent blocks; by default unadapted."""
        if kernels is None:
            kernels = static_kernels()
        height, width = image.shape[-2], image.shape[-1]
        if height % 8 != 0 or width % 8 != 0:
            raise ValueError(f"image of {height} x {width} pixels: both must be multiples of 8, use DivisiblePadd(k=8)")
        level1 = self.encoder1(self.embed_image(image), kernels.encoder1)
        level2 = self.encoder2(self.down1(level1), kernels.encoder2)
        level3 = self.encoder3(self.down2(level2), kernels.encoder3)
        return level1, level2, level3, self.down3(level3)

    def embed_image(self, image: Tensor) -> Tensor:
        """First features, in single precision also under autocast: bfloat16 would round CT to steps of up to 16 HU."""
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            device = image.device.type
            if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
                with torch.autocast(device, enabled=False):
                    return self.embed(image)
        return self.embed(image)

    def correction(self, features: list[Tensor]) -> Tensor:
        """Correction of the image, from the features of level 1 after encoder, decoder and refinement."""
        # TorchScript leaves out what follows only if the condition is nothing but this.
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            max_memory = self.max_memory
            if max_memory is not None and evaluates_in_strips(features[0]):
                return in_strips(self.head, features, halo=2, max_memory=max_memory)
        return self.head(torch.cat(features, 1))

    def generate_kernels(self, level4: Tensor) -> TaskKernels:
        """Kernels for each image from its level-4 features; none in a static network."""
        if self.tren is None or self.weight_generation is None:
            return static_kernels()
        # Detached rather than made under no_grad: for the encoder's second pass, older releases of PyTorch would keep
        # autocast's casts of the weights, without gradient.
        source = level4.detach() if self.stop_gradient else level4
        return self.weight_generation(self.tren(source))

    @torch.jit.export
    def task_representation(self, image: Tensor) -> Tensor:
        """TREN's vector ``Z`` of each image: ``(B, C_in, H, W) -> (B, 4F)``.

        Raises:
            ValueError: the network is static and has no task representation.
        """
        if self.tren is None:
            raise ValueError("a static network has no task representation: build TAT(adaptive=True)")
        return self.tren(self.encode(image)[3])


def _check_arguments(
    in_channels: int, out_channels: int, dim: int, num_blocks: Sequence[int], heads: Sequence[int]
) -> None:
    """Refuse arguments that no network can be built from, naming the value and the bound."""
    if out_channels < 1 or in_channels % out_channels or in_channels // out_channels % 2 == 0:
        raise ValueError(
            f"in_channels is {in_channels} and out_channels is {out_channels}: the output corrects the middle "
            "slice, so pass an odd multiple of out_channels as in_channels"
        )
    if dim < 2 or dim % 2:
        raise ValueError(f"dim is {dim}: pass a positive even number")
    for name, values in (("num_blocks", num_blocks), ("heads", heads)):
        if len(values) != N_LEVELS or min(values) < 1:
            raise ValueError(f"{name} is {tuple(values)}: pass {N_LEVELS} positive numbers, one for each level")
    for level, n_heads in enumerate(heads):
        if dim * 2**level % n_heads:
            raise ValueError(
                f"{n_heads} heads do not divide the width {dim * 2**level} of level {level + 1}: change heads or dim"
            )


def _check_switches(adaptive: bool, stop_gradient: bool, **switches: float) -> None:
    """Refuse a static network with switches of the generated kernels, which it does not have; all but one start off."""
    changed = {name: value for name, value in switches.items() if value}
    if not stop_gradient:
        changed["stop_gradient"] = stop_gradient
    for name, value in changed.items():
        if not adaptive:
            raise ValueError(
                f"{name} is {value}, which changes generated kernels, but adaptive=False makes a network without them: "
                "leave one of them out"
            )


def _tlc_window(train_size: Optional[int], tlc_window: Optional[int]) -> int:
    """Side of the TLC windows at level 1, from the one of the two arguments that is given."""
    if train_size is not None and tlc_window is not None:
        raise ValueError(
            f"train_size is {train_size} and tlc_window is {tlc_window}: pass one of them, as each sets the TLC windows"
        )
    if tlc_window is not None:
        return _multiple("tlc_window", tlc_window)
    return _multiple("train_size", _PAPERS_TRAIN_SIZE if train_size is None else train_size) * 3 // 2


def _multiple(name: str, size: int) -> int:
    """A side that can be halved at each level."""
    if size < SIZE_MULTIPLE or size % SIZE_MULTIPLE:
        raise ValueError(f"{name} is {size}: pass a positive multiple of {SIZE_MULTIPLE}")
    return size
