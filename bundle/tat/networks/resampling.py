"""Changes of resolution between the levels of the U-shape: one halves, the other doubles."""

from torch import nn


def downsample(channels: int) -> nn.Sequential:
    """Halve height and width, double the channels: ``(B, C, H, W) -> (B, 2C, H/2, W/2)``.

    Source:
        Zamir et al. 2022, arXiv:2111.09881, section 3.
    """
    return nn.Sequential(nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2))


def upsample(channels: int) -> nn.Sequential:
    """Double height and width, halve the channels: ``(B, C, H, W) -> (B, C/2, 2H, 2W)``.

    Source:
        Zamir et al. 2022, arXiv:2111.09881, section 3.
    """
    return nn.Sequential(nn.Conv2d(channels, channels * 2, 3, padding=1, bias=False), nn.PixelShuffle(2))
