"""Degradation of clean patches in training, anew at each step."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.transforms.degradation.augment import RandKSpaceTruncationd as RandKSpaceTruncationd
    from bundle.tat.transforms.degradation.augment import RandNoiseLeveld as RandNoiseLeveld
    from bundle.tat.transforms.degradation.degrade import LabelAsImaged as LabelAsImaged
    from bundle.tat.transforms.degradation.degrade import RandSimulateDegradationd as RandSimulateDegradationd
    from bundle.tat.transforms.degradation.degrade import SimulateDegradationd as SimulateDegradationd
    from bundle.tat.transforms.degradation.scanner_noise import RandScannerNoised as RandScannerNoised
    from bundle.tat.transforms.degradation.sharpness import RandSharpnessd as RandSharpnessd
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
