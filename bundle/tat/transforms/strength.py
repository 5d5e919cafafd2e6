"""Blending a restored image with its input."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.kept_input import like_restored
from bundle.tat.transforms.volume import plain_tensor


class BlendWithInputd(MapTransform):
    """Blend a restored image with its input: ``image + strength * (restored - image)``.

    Denoising software of scanners offers the same choice: readers may prefer some familiar noise to an image without
    noise.

    Args:
        keys: restored images, in the unit and on the grid of the scan.
        image_key: the input scan, in the same unit and on the same grid.
        strength: share of the restoration, from 0 (the input) to 1 (the restored image).
        allow_missing_keys: skip a key that is absent.

    Shape:
        any -> the same.

    Raises:
        RefusedInputError: the strength is not between 0 and 1.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        image_key: str = "image",
        *,
        strength: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if not 0.0 <= strength <= 1.0:
            raise RefusedInputError(f"strength is {strength}: pass 0 (input) to 1 (fully restored)")
        self.image_key = image_key
        self.strength = strength

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Blend each key with the image."""
        d = dict(data)
        # With 1 the result is exactly the network's.
        if self.strength < 1.0:
            for key in self.key_iterator(d):
                blended = d[key].clone()
                values = plain_tensor(blended)
                image = plain_tensor(like_restored(d[self.image_key], values)).to(values)
                torch.lerp(image, values, self.strength, out=values)
                d[key] = blended
        return d
