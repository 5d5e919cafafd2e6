"""Forward models that simulate a degraded image from a clean image, in physical units."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.simulation.ct import LowDose as LowDose
    from bundle.tat.simulation.ct import reduce_dose as reduce_dose
    from bundle.tat.simulation.mri import reduce_resolution as reduce_resolution
    from bundle.tat.simulation.pet import Acquisition as Acquisition
    from bundle.tat.simulation.pet import CountPair as CountPair
    from bundle.tat.simulation.pet import acquire as acquire
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
