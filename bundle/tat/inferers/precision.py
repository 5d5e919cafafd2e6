"""Evaluation in half precision, on CPUs too: MONAI's engines know automatic mixed precision on CUDA only."""

from typing import Any, Final

import torch
from monai.inferers import Inferer, SimpleInferer
from torch import Tensor

from bundle.tat.refusal import RefusedInputError

DTYPES: Final = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class AutocastInferer(Inferer):
    """Runs another inferer under automatic mixed precision, and returns its result in float32.

    Weights stay float32, and so do operations that need its range (norms, softmax). Products are computed in half
    precision. On a CPU with bfloat16 arithmetic a training step takes about two thirds of the time. Gradients need no
    scaler in bfloat16.

    Args:
        enabled: whether to use mixed precision; without it, the other inferer runs as it is.
        dtype: ``"bfloat16"``, or on CUDA also ``"float16"``.
        inferer: inferer to run; MONAI's ``SimpleInferer`` by default.

    Raises:
        RefusedInputError: ``dtype`` is neither of these, or it is float16 and the image is on a CPU.
    """

    def __init__(self, enabled: bool = True, dtype: str = "bfloat16", inferer: Inferer | None = None) -> None:
        if dtype not in DTYPES:
            raise RefusedInputError(f"amp_dtype is {dtype!r}: pass one of {', '.join(DTYPES)}")
        super().__init__()
        self.enabled = enabled
        self.dtype = dtype
        self.inferer = inferer or SimpleInferer()

    def __call__(self, inputs: Tensor, network: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Run ``network`` on ``inputs``."""
        device = inputs.device.type
        if self.enabled and device == "cpu" and self.dtype != "bfloat16":
            raise RefusedInputError(f"amp_dtype is {self.dtype!r}: pass bfloat16, a CPU supports no other")
        with torch.autocast(device_type=device, dtype=DTYPES[self.dtype], enabled=self.enabled):
            restored: Tensor = self.inferer(inputs, network, *args, **kwargs)
        return restored.float()
