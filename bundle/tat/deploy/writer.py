"""The operator that writes a derived DICOM series."""

from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec
from monai.utils import CommonKeys

from bundle.tat.data.datalist import CASE_KEY
from bundle.tat.deploy.readers import IMAGE
from bundle.tat.deploy.report import RunReport, noting_failure
from bundle.tat.deploy.volumes import to_case
from bundle.tat.inference_config import InferenceConfig


class DerivedSeriesWriterOperator(Operator):
    """Writes a restored image as a DICOM series derived from its source, as the bundle does (see ``SaveRestoredd``).

    Named Input:
        image: ``Image`` of ``RestorationOperator``; its source files must still exist.

    Args:
        fragment: the application.
        config: the bundle that restored the image, so that the series says what made it.
        report: notes what is written and refusals; without a report, refusals end the application.
    """

    def __init__(
        self,
        fragment: Fragment,
        *args: object,
        config: InferenceConfig,
        report: RunReport | None = None,
        **kwargs: object,
    ) -> None:
        self._config = config
        self._report = report
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Name the port."""
        spec.input(IMAGE)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002 - the interface
        """Write an image, whole or not at all."""
        image = op_input.receive(IMAGE)
        metadata = image.metadata()
        with noting_failure(self._report, metadata.get(CASE_KEY, "")):
            row = self._config.runner.save(to_case(image.asnumpy(), metadata, CommonKeys.PRED))
            if self._report is not None:
                self._report.finish(row)
