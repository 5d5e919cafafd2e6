"""Exporting the network with its weights to TorchScript, ONNX and torch.export.

A file appears in the folder only after it has given the network's output, within ``BOUND``, at every size and batch.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from monai.bundle import ConfigParser
from monai.utils import ensure_tuple

from bundle.tat.atomic import written_whole
from bundle.tat.bundle_root import find_bundle_root
from bundle.tat.export.check import BOUND, Difference, compare
from bundle.tat.export.formats import FORMATS, Source
from bundle.tat.handlers.weights_loader import load_weights
from bundle.tat.refusal import RefusedInputError

logger = logging.getLogger(__name__)

_PACKAGES: Final = ("torch", "monai", "onnx", "onnxscript", "onnxruntime")


def export_files(
    out: str | Path | None = None,
    *,
    formats: str | Sequence[str] = tuple(FORMATS),
    config_file: str | Path | None = None,
    ckpt_path: str | Path | None = None,
) -> str:
    """Export, and write the table of errors ``errors.json`` beside the files.

    Args:
        out: folder for the files; ``None`` for ``build/export`` of the bundle.
        formats: names of ``FORMATS``.
        config_file: config with ``network_def``, the bundle's metadata beside it; ``None`` for ``inference.json``.
        ckpt_path: weights; ``None`` for the shipped ones.

    Returns:
        One line that says where the files are.

    Raises:
        RefusedInputError: an unknown format, weights of another network, or a file with another output.
        MissingPackageError: a format needs a package that is not installed.
    """
    chosen, root = ensure_tuple(formats), Path(find_bundle_root())
    unknown = [str(name) for name in chosen if name not in FORMATS]
    if unknown:
        raise RefusedInputError(f"formats names {', '.join(unknown)}: pass some of {', '.join(FORMATS)}")
    source = read_source(
        Path(config_file or root / "configs" / "inference.json"), Path(ckpt_path or root / "models" / "model.pt")
    )
    folder = Path(out or root / "build" / "export")
    errors = export(source, folder, chosen)
    table = {"versions": {name: _installed(name) for name in _PACKAGES}, "bound": BOUND, "errors": errors}
    with written_whole(folder / "errors.json") as path:
        path.write_text(json.dumps(table, indent=4) + "\n", encoding="utf-8")
    return f"files and errors.json: {folder}"


def read_source(config_file: Path, ckpt_file: Path) -> Source:
    """Build the network of a config and load its weights.

    Args:
        config_file: config with ``network_def``; ``metadata.json`` lies beside it.
        ckpt_file: weights.

    Raises:
        RefusedInputError: the config does not exist, or the weights do not fit.
    """
    if not config_file.is_file():
        raise RefusedInputError(
            f"config {config_file} does not exist: pass --config_file with a config that has a network_def"
        )
    parser = ConfigParser()
    parser.read_config(str(config_file))
    network = parser.get_parsed_content("network_def").eval()
    load_weights(network, str(ckpt_file))
    return Source(network, config_file, ckpt_file, config_file.with_name("metadata.json"))


def export(source: Source, out: Path, formats: Sequence[str]) -> dict[str, list[Difference]]:
    """Write each file, check it, then put it in place.

    Args:
        source: the network.
        out: folder for the files, made if need be.
        formats: names of ``FORMATS``.

    Returns:
        The differences between each file and the network, by the file's name.

    Raises:
        RefusedInputError: a file has another output than the network; the files before it stay.
    """
    errors = {}
    out.mkdir(parents=True, exist_ok=True)
    for chosen in (FORMATS[name] for name in formats):
        start = time.perf_counter()
        # TorchScript files remember their name, so the scratch file has the final one, in a folder of its own.
        with tempfile.TemporaryDirectory(dir=out, prefix=".partial-") as folder:
            scratch = Path(folder) / chosen.file
            logger.info("%s: recording (minutes for ONNX and torch.export)", chosen.file)
            chosen.write(source, scratch)
            logger.info("%s: written in %.0f s", chosen.file, time.perf_counter() - start)
            errors[chosen.file] = compare(chosen.read(scratch), source.network)
            scratch.replace(out / chosen.file)
    return errors


def _installed(name: str) -> str | None:
    """The version of a package; ``None`` if it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
