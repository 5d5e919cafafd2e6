"""Transforms of a scan before and after the network, each with its inverse."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.transforms.consistency import KspaceConsistencyd as KspaceConsistencyd
    from bundle.tat.transforms.degradation.augment import RandKSpaceTruncationd as RandKSpaceTruncationd
    from bundle.tat.transforms.degradation.augment import RandNoiseLeveld as RandNoiseLeveld
    from bundle.tat.transforms.degradation.degrade import LabelAsImaged as LabelAsImaged
    from bundle.tat.transforms.degradation.degrade import RandSimulateDegradationd as RandSimulateDegradationd
    from bundle.tat.transforms.degradation.degrade import SimulateDegradationd as SimulateDegradationd
    from bundle.tat.transforms.degradation.scanner_noise import RandScannerNoised as RandScannerNoised
    from bundle.tat.transforms.degradation.sharpness import RandSharpnessd as RandSharpnessd
    from bundle.tat.transforms.in_distribution import CheckInDistributiond as CheckInDistributiond
    from bundle.tat.transforms.kept_input import KeepInputd as KeepInputd
    from bundle.tat.transforms.load import LoadScand as LoadScand
    from bundle.tat.transforms.modality import ResolveModalityd as ResolveModalityd
    from bundle.tat.transforms.padding import SetPaddingAsided as SetPaddingAsided
    from bundle.tat.transforms.planes import ChoosePlanesd as ChoosePlanesd
    from bundle.tat.transforms.quality import MeasureQualityd as MeasureQualityd
    from bundle.tat.transforms.quality import parse_report_level as parse_report_level
    from bundle.tat.transforms.save import SaveRestoredd as SaveRestoredd
    from bundle.tat.transforms.scale.intensity import ScaleByModalityd as ScaleByModalityd
    from bundle.tat.transforms.scale.mri_scale import MeasureMriScaled as MeasureMriScaled
    from bundle.tat.transforms.slices import CentralSlicesd as CentralSlicesd
    from bundle.tat.transforms.slices import MiddleSliced as MiddleSliced
    from bundle.tat.transforms.slices import SlicesAsChannelsd as SlicesAsChannelsd
    from bundle.tat.transforms.strength import BlendWithInputd as BlendWithInputd
    from bundle.tat.transforms.upsample import UpsampleMrid as UpsampleMrid
    from bundle.tat.transforms.upsample import parse_upsampling as parse_upsampling
    from bundle.tat.transforms.volume import EnsureScalarVolumed as EnsureScalarVolumed
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
