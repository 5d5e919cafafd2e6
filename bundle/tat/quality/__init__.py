"""When to rely on a restored scan: measures that need no clean scan, and a verdict calibrated on clean scans."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.quality.calibration import Calibration as Calibration
    from bundle.tat.quality.calibration import read_calibration as read_calibration
    from bundle.tat.quality.measures import CaseMeasures as CaseMeasures
    from bundle.tat.quality.measures import measure_slice as measure_slice
    from bundle.tat.quality.verdict import Judgement as Judgement
    from bundle.tat.quality.verdict import judge as judge
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
