"""How the network is written to, and read from, each of the files that run without this code."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import torch
from monai.bundle import ConfigParser, ckpt_export
from torch import Tensor
from torch.export import Dim

from bundle.tat.networks import TAT
from bundle.tat.optional import import_optional

Restore = Callable[[Tensor], Tensor]

_EXTRA: Final = "export"


class Source(NamedTuple):
    """The network with its weights, and the files that it was made from.

    Args:
        network: in evaluation mode.
        config_file: config with its ``network_def``.
        ckpt_file: its weights.
        meta_file: metadata of the bundle.
    """

    network: TAT
    config_file: Path
    ckpt_file: Path
    meta_file: Path

    def texts(self) -> dict[str, str]:
        """Metadata and config, by the names that MONAI gives them in TorchScript files."""
        files = {"metadata.json": self.meta_file, f"{self.config_file.stem}.json": self.config_file}
        return {name: json.dumps(ConfigParser.load_config_file(str(file))) for name, file in files.items()}


def write_torchscript(source: Source, path: Path) -> None:
    """Script the network: what ``python -m monai.bundle ckpt_export`` does."""
    ckpt_export(
        net_id="network_def",
        filepath=str(path),
        config_file=str(source.config_file),
        ckpt_file=str(source.ckpt_file),
        meta_file=str(source.meta_file),
    )


def write_onnx(source: Source, path: Path) -> None:
    """Record the network as ONNX, for any batch and any sides that are multiples of 8."""
    import_optional("onnxscript", extra=_EXTRA)
    for name in ("torch.onnx", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)  # they log internals of the conversion
    with torch.no_grad():
        program = torch.onnx.export(
            source.network,
            _example(source.network),
            dynamo=True,
            dynamic_shapes=_dynamic_shapes(),
            input_names=["image"],
            output_names=["pred"],
            verbose=False,
        )
    assert program is not None  # noqa: S101 - it is with dynamo
    program.model.metadata_props.update(source.texts())
    program.save(path)


def write_pt2(source: Source, path: Path) -> None:
    """Record the network with ``torch.export``; when it is run, it refuses sizes that it does not declare."""
    with torch.no_grad():
        program = torch.export.export(source.network, _example(source.network), dynamic_shapes=_dynamic_shapes())
    torch.export.save(program, path, extra_files=source.texts())


def read_torchscript(path: Path) -> Restore:
    """Load a TorchScript file."""
    restore: Restore = torch.jit.load(path)  # type: ignore[no-untyped-call]
    return restore


def read_onnx(path: Path) -> Restore:
    """Load an ONNX file into ONNX Runtime on the CPU."""
    runtime = import_optional("onnxruntime", extra=_EXTRA)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda image: torch.from_numpy(session.run(["pred"], {"image": image.numpy()})[0])


def read_pt2(path: Path) -> Restore:
    """Load a file of ``torch.export``."""
    return torch.export.load(path).module()


class Format(NamedTuple):
    """A kind of file.

    Args:
        file: its name.
        write: writes it.
        read: loads it, for the comparison.
    """

    file: str
    write: Callable[[Source, Path], None]
    read: Callable[[Path], Restore]


FORMATS: Final = MappingProxyType(
    {
        "ts": Format("model.ts", write_torchscript, read_torchscript),
        "onnx": Format("model.onnx", write_onnx, read_onnx),
        "pt2": Format("model.pt2", write_pt2, read_pt2),
    }
)


def _example(network: TAT) -> tuple[Tensor]:
    # Neither a batch of one nor a side of one window: recorders take lengths of 1 for constants.
    return (torch.rand(2, network.embed.in_channels, 256, 320),)


def _dynamic_shapes() -> dict[str, dict[int, object]]:
    # A side of 8 pixels would be one pixel at level 4, again a length of 1.
    height, width = (8 * Dim(name, min=2) for name in ("height_over_8", "width_over_8"))
    return {"image": {0: Dim("batch", min=1), 2: height, 3: width}}
