"""Any image-to-image network as a restorer, to compare other networks with TAT."""

from torch import Tensor, nn
from torch.nn import functional as F

from bundle.tat.networks.strict_loading import StrictlyLoaded


class ResidualRestorer(StrictlyLoaded):
    """Add a network's output to the image, as TAT does, for images of any size.

    Args:
        network: ``(B, C, H, W) -> (B, C, H, W)``.
        size_multiple: the network needs sides that are multiples of this; images are padded by repeating their edges.

    Shape:
        image ``(B, C, H, W)`` -> restored image of the same shape.
    """

    def __init__(self, network: nn.Module, size_multiple: int = 1) -> None:
        super().__init__()
        self.network = network
        self.size_multiple = size_multiple

    def forward(self, image: Tensor) -> Tensor:
        """Correct the image."""
        height, width = image.shape[-2:]
        below, right = -height % self.size_multiple, -width % self.size_multiple
        padded = F.pad(image, (0, right, 0, below), mode="replicate")
        return image + self.network(padded)[..., :height, :width]
