"""The operator that restores an image in memory."""

from typing import Any

from monai.deploy.core import Fragment, Image, Operator, OperatorSpec
from monai.utils import CommonKeys

from bundle.tat.data.datalist import CASE_KEY
from bundle.tat.deploy.readers import IMAGE
from bundle.tat.deploy.report import RunReport, noting_failure
from bundle.tat.deploy.volumes import to_case, to_volume_of
from bundle.tat.inference_config import InferenceConfig


class RestorationOperator(Operator):
    """Restores an image as the bundle's ``inference.json`` says, in float32 from end to end.

    MONAI Deploy's ``MonaiBundleInferenceOperator`` turns every result into whole numbers from 0 to 255.

    Named Input:
        image: ``Image`` of ``StudyReaderOperator`` or ``SeriesReaderOperator``.

    Named Output:
        image: ``Image`` on the same grid and in the same units, with the metadata of the input.

    Args:
        fragment: the application.
        config: the bundle.
        report: notes refusals; without a report they end the application.
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
        """Name the ports."""
        spec.input(IMAGE)
        spec.output(IMAGE)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002 - the interface
        """Restore an image; nothing is sent on if that fails."""
        image = op_input.receive(IMAGE)
        metadata = image.metadata()
        with noting_failure(self._report, metadata.get(CASE_KEY, "")):
            # A copy: other operators may have the image too, and restoring writes over it.
            case = to_case(image.asnumpy().copy(), metadata, CommonKeys.IMAGE)
            restored = self._config.runner.restore(self._config.runner.prepare(case))
            op_output.emit(Image(*to_volume_of(restored, CommonKeys.PRED)), IMAGE)
