"""PET in standardised uptake values, by the DICOM header."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.dicom.suv.decay import decay_correction as decay_correction
    from bundle.tat.dicom.suv.decay import remaining_activity as remaining_activity
    from bundle.tat.dicom.suv.factor import suv_assumptions as suv_assumptions
    from bundle.tat.dicom.suv.factor import suv_factor as suv_factor
    from bundle.tat.dicom.suv.nuclides import Nuclide as Nuclide
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
