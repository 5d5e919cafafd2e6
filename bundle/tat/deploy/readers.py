"""Operators that read DICOM series as the bundle does: in float32, with checked geometry, PET in SUV."""

from typing import Any, Final

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Fragment, Image, Operator, OperatorSpec
from monai.utils import CommonKeys

from bundle.tat.data.datalist import CASE_KEY, IMAGE_KEY
from bundle.tat.deploy.report import RunReport
from bundle.tat.deploy.volumes import to_volume_of
from bundle.tat.inference_config import InferenceConfig
from bundle.tat.refusal import RefusedInputError

# The name that MONAI Deploy's own operators give to the port of an image.
IMAGE: Final = "image"
# The port that MONAI Deploy's DICOMSeriesSelectorOperator is connected to.
SELECTION: Final = "study_selected_series_list"


class StudyReaderOperator(Operator):
    """Reads every series of a DICOM study that can be restored, one at a time.

    The first operator of an application. Series are found, named and refused as by ``monai.bundle run``; a series that
    was finished before is not read again. The next series is read when the one before has been passed on.

    Named Output:
        image: ``Image`` of a series, ``(slices, rows, columns)`` in float32.

    Args:
        fragment: the application.
        config: names the study, ``dataset_dir``, and the folder of the results, ``output_dir``.
        report: gets the row of each series that is skipped, finished or fails.
    """

    def __init__(
        self, fragment: Fragment, *args: object, config: InferenceConfig, report: RunReport, **kwargs: object
    ) -> None:
        self._config = config
        self._report = report
        self._waiting = iter(config.found.items)
        report.skip(config.found.skipped)
        super().__init__(fragment, CountCondition(fragment, len(config.found.items)), *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Name the ports."""
        spec.output(IMAGE)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002 - the interface
        """Read the next series; nothing is sent on if that fails."""
        item = next(self._waiting)
        self._report.start(item[CASE_KEY])
        with self._report.noting_failure(item[CASE_KEY]):
            case = self._config.runner.read(item)
            if case.data is None:
                self._report.finish(case.row)
            else:
                op_output.emit(Image(*to_volume_of(case, CommonKeys.IMAGE)), IMAGE)


class SeriesReaderOperator(Operator):
    """Reads the series that MONAI Deploy's ``DICOMSeriesSelectorOperator`` has chosen.

    It replaces ``DICOMSeriesToVolumeOperator``, which rounds PET to whole numbers, swaps the two pixel spacings and
    gives a single slice no affine. The case is named after the Series Instance UID.

    Named Input:
        study_selected_series_list: list of ``StudySelectedSeries`` with one series, whose files still exist.

    Named Output:
        image: ``Image`` of the series, ``(slices, rows, columns)`` in float32.

    Args:
        fragment: the application.
        config: the bundle.

    Raises:
        RefusedInputError: several series are chosen, or the series is refused, see ``read_series``.
    """

    def __init__(self, fragment: Fragment, *args: object, config: InferenceConfig, **kwargs: object) -> None:
        self._config = config
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Name the ports."""
        spec.input(SELECTION)
        spec.output(IMAGE)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002 - the interface
        """Read the chosen series."""
        selected = [series for study in op_input.receive(SELECTION) for series in study.selected_series]
        if len(selected) != 1:
            raise RefusedInputError(f"{len(selected)} series are selected: select one, or use StudyReaderOperator")
        series = selected[0].series
        files = [str(one.get_native_sop_instance().filename) for one in series.get_sop_instances()]
        case = self._config.runner.read({IMAGE_KEY: files, CASE_KEY: str(series.SeriesInstanceUID)})
        if case.data is not None:
            op_output.emit(Image(*to_volume_of(case, CommonKeys.IMAGE)), IMAGE)
