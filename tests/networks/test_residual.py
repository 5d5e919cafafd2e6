import pytest
import torch
from torch import nn

from bundle.tat.networks.residual import ResidualRestorer


class Rising(nn.Module):
    """Needs sides that are multiples of 32, and says so."""

    def forward(self, image):
        assert image.shape[-1] % 32 == image.shape[-2] % 32 == 0
        return torch.ones_like(image)


@pytest.mark.parametrize("sides", [(32, 64), (40, 24), (31, 33)])
def test_the_networks_output_is_added_at_every_size(sides):
    image = torch.rand(2, 1, *sides)
    torch.testing.assert_close(ResidualRestorer(Rising(), 32)(image), image + 1)
