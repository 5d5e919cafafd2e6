"""Scaling of intensities to the range of the network, and the way back."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.transforms.scale.intensity import ScaleByModalityd as ScaleByModalityd
    from bundle.tat.transforms.scale.intensity import UnitImage as UnitImage
    from bundle.tat.transforms.scale.intensity import from_unit_range as from_unit_range
    from bundle.tat.transforms.scale.intensity import to_unit_range as to_unit_range
    from bundle.tat.transforms.scale.mri_scale import MeasureMriScaled as MeasureMriScaled
    from bundle.tat.transforms.scale.sparse_voxels import SparseVoxels as SparseVoxels
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
