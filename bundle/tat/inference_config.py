"""The bundle's ``inference.json``, taken apart into what MONAI Deploy's operators and the node call one by one."""

from functools import cached_property
from pathlib import Path
from typing import Final

from monai.bundle import ConfigParser

from bundle.tat.bundle_root import find_bundle_root
from bundle.tat.data.datalist import Found
from bundle.tat.engines.case_runner import CaseRunner
from bundle.tat.engines.restoration import WritesReport
from bundle.tat.handlers.weights_loader import load_weights
from bundle.tat.refusal import RefusedInputError

CONFIG: Final = Path("configs") / "inference.json"


def find_bundle(folder: str) -> str:
    """The bundle in a model folder of MONAI Deploy, which may hold it in a folder of its own.

    Args:
        folder: the bundle, or the folder that it lies in.

    Raises:
        RefusedInputError: there is none, or more than one.
    """
    inside = [path.parents[1] for path in Path(folder).glob(f"*/{CONFIG}")]
    found = [Path(folder)] if (Path(folder) / CONFIG).is_file() else inside
    if len(found) != 1:
        raise RefusedInputError(
            f"{folder} holds {len(found)} bundles (folders with {CONFIG}): pass the folder of one bundle"
        )
    return str(found[0])


class InferenceConfig:
    """What ``monai.bundle run`` does with ``inference.json``, in parts that can be called one by one.

    Args:
        bundle_root: the bundle, see ``find_bundle``; ``None`` is the one that this package belongs to.
        **overrides: ids and their values, such as ``dataset_dir``, ``output_dir``, ``uid_seed`` or ``device``.

    Attributes:
        runner: reads, restores and saves a case.

    Raises:
        RefusedInputError: there is no such folder, its weights do not fit, or an id's value is refused.
    """

    def __init__(self, bundle_root: str | None = None, **overrides: object) -> None:
        root = find_bundle(find_bundle_root() if bundle_root is None else bundle_root)
        self._parser = ConfigParser()
        self._parser.read_config(str(Path(root) / CONFIG))
        # The runner needs no list of scans; an application may have them from elsewhere.
        self._parser.update({"bundle_root": root, **overrides, "dataset#data": []})
        self.runner: CaseRunner = self._parser.get_parsed_content("runner")
        load_weights(self.runner.network.eval(), self._parser.get_parsed_content("ckpt_path"))

    @cached_property
    def report_writer(self) -> WritesReport:
        """Writes the quality report at the end of a run; with ``report="none"`` it removes that of an earlier run."""
        writer: WritesReport = self._parser.get_parsed_content("report_writer")
        return writer

    @cached_property
    def found(self) -> Found:
        """Cases of ``dataset_dir`` and what is skipped beside them."""
        found: Found = self._parser.get_parsed_content("found")
        return found
