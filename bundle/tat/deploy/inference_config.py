"""The bundle's ``inference.json``, taken apart into what the operators of an application do one after the other."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import Compose
from monai.utils import CommonKeys
from torch import Tensor

from bundle.tat.bundle_root import find_bundle_root
from bundle.tat.cases.finished import CompletedCases
from bundle.tat.dicom.study import Skipped
from bundle.tat.handlers.weights_loader import load_weights
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.load import LoadScand
from bundle.tat.transforms.save import SaveRestoredd

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
        raise RefusedInputError(f"{folder} holds {len(found)} bundles ({CONFIG}): pass the folder of one")
    return str(found[0])


class Restored(NamedTuple):
    """A restored image.

    Args:
        image: on the grid and in the units of the image that was given.
        modality: ``CT``, ``MRI`` or ``PET``.
    """

    image: MetaTensor
    modality: str


class InferenceConfig:
    """What ``monai.bundle run`` does with ``inference.json``, in parts that can be called one by one.

    Args:
        bundle_root: the bundle, see ``find_bundle``; ``None`` is the one that this package belongs to.
        **overrides: ids and their values, such as ``dataset_dir``, ``output_dir``, ``uid_seed`` or ``device``.

    Attributes:
        saver: saves restored images to ``output_dir``.

    Raises:
        RefusedInputError: there is no such folder, its weights do not fit, or an id's value is refused.
    """

    def __init__(self, bundle_root: str | None = None, **overrides: object) -> None:
        root = find_bundle(find_bundle_root() if bundle_root is None else bundle_root)
        self._parser = ConfigParser()
        self._parser.read_config(str(Path(root) / CONFIG))
        self._parser.update({"bundle_root": root, **overrides})
        self._device, self._network, self._inferer, preprocessing, self._after, ckpt_path = (
            self._parser.get_parsed_content(name)
            for name in ("device", "network", "inferer", "preprocessing", "postprocessing", "ckpt_path")
        )
        self._before = Compose([step for step in preprocessing.transforms if not isinstance(step, LoadScand)])
        self.saver: SaveRestoredd = self._parser.get_parsed_content("saving")
        load_weights(self._network.eval(), ckpt_path)

    @cached_property
    def items(self) -> Sequence[Mapping[str, Any]]:
        """Cases of ``dataset_dir``, as ``find_scans`` lists them."""
        return list(self._parser.get_parsed_content("datalist"))

    @cached_property
    def skipped(self) -> Sequence[Skipped]:
        """What ``dataset_dir`` holds beside them, as ``skipped_series`` lists it."""
        return list(self._parser.get_parsed_content("skipped"))

    @cached_property
    def finished(self) -> CompletedCases:
        """What earlier runs left in ``output_dir``."""
        finished: CompletedCases = self._parser.get_parsed_content("finished")
        return finished

    def restore(self, image: MetaTensor) -> Restored:
        """Restore an image that ``LoadScand`` has read.

        Args:
            image: ``(1, W, H[, D])`` in physical units.

        Returns:
            The restored image, in float32 on the host.

        Raises:
            RefusedInputError: the image cannot be restored, see the transforms of ``preprocessing``.
        """
        data = self._before({CommonKeys.IMAGE: image})
        prepared = data[CommonKeys.IMAGE]
        restored = self._inferer(prepared.as_tensor()[None], self._restore_slices)[0]
        data[CommonKeys.PRED] = MetaTensor(restored).copy_meta_from(prepared)
        return Restored(self._after(data)[CommonKeys.PRED], data["modality"])

    def _restore_slices(self, slices: Tensor) -> Tensor:
        """The network on slices of the host."""
        restored: Tensor = self._network(slices.to(self._device)).to(slices)
        return restored
