"""Operators for MONAI Deploy applications; importing a module here needs the extra ``deploy``."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.deploy.readers import SeriesReaderOperator as SeriesReaderOperator
    from bundle.tat.deploy.readers import StudyReaderOperator as StudyReaderOperator
    from bundle.tat.deploy.report import RunReport as RunReport
    from bundle.tat.deploy.restoration import RestorationOperator as RestorationOperator
    from bundle.tat.deploy.writer import DerivedSeriesWriterOperator as DerivedSeriesWriterOperator
    from bundle.tat.inference_config import InferenceConfig as InferenceConfig
    from bundle.tat.inference_config import find_bundle as find_bundle
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
