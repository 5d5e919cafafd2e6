"""Restore the DICOM series of a study with MONAI Deploy: each CT, MR and PET series gives a derived series.

A series that cannot be restored is skipped or refused with the reason, as by `monai.bundle run`. The others continue,
and the exit code is 1 if a series failed. In a MONAI Application Package the folders come from the environment.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from monai.deploy.core import Application
from monai.deploy.core.arg_parser import set_up_logging

from bundle.tat.cases.refusals import show_in_one_line
from bundle.tat.deploy.readers import StudyReaderOperator
from bundle.tat.deploy.report import RunReport
from bundle.tat.deploy.restoration import RestorationOperator
from bundle.tat.deploy.writer import DerivedSeriesWriterOperator
from bundle.tat.inference_config import InferenceConfig


class RestorationApp(Application):
    """Study folder -> image -> restored image -> derived series, one series after the other."""

    def __init__(self, config: InferenceConfig, report: RunReport) -> None:
        self._config, self._report = config, report
        super().__init__()

    def compose(self) -> None:
        """Connect the operators."""
        config, report = self._config, self._report
        reader = StudyReaderOperator(self, name="reader", config=config, report=report)
        restoration = RestorationOperator(self, name="restoration", config=config, report=report)
        writer = DerivedSeriesWriterOperator(self, name="writer", config=config, report=report)
        self.add_flow(reader, restoration)
        self.add_flow(restoration, writer)


def read_command_line(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    folders = {word: os.environ.get(f"HOLOSCAN_{word.upper()}_PATH") for word in ("input", "output", "model")}
    parser.add_argument("-i", "--input", default=folders["input"] or "input", help="folder with DICOM (default: input)")
    parser.add_argument(
        "-o", "--output", default=folders["output"] or "output", help="folder for results (default: output)"
    )
    parser.add_argument("-m", "--model", default=folders["model"], help="bundle (default: the one that is installed)")
    parser.add_argument(
        "-l", "--log-level", default="INFO", choices=("DEBUG", "INFO", "WARN", "ERROR"), help="level of the log"
    )
    parser.add_argument("--uid_seed", help="text for computing new UIDs, so that a repeated run gives the same UIDs")
    parser.add_argument("--overwrite", action="store_true", help="restore scans again that an earlier run finished")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Restore a study."""
    options = read_command_line(arguments)
    show_in_one_line()
    set_up_logging(options.log_level)
    os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "WARN")  # otherwise it logs every step of its scheduler
    config = InferenceConfig(
        options.model,
        dataset_dir=options.input,
        output_dir=options.output,
        uid_seed=options.uid_seed,
        overwrite=options.overwrite,
    )
    config.runner.finished.check_writable()
    report = RunReport()
    RestorationApp(config, report).run()
    sys.stdout.write(report.table())
    if (page := config.report_writer.write(report.rows)) is not None:
        print(f"report: {page}")
    report.check()


if __name__ == "__main__":
    main()
