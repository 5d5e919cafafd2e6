"""The golden network: weights filled by the rule of tests/golden/README.md, and what the authors' code made of them."""

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bundle.tat.networks import TAT
from bundle.tat.networks.reference_weights import from_reference

GOLDEN = Path(__file__).parents[1] / "golden"


@cache
def reference() -> dict:
    return json.loads((GOLDEN / "reference.json").read_text())


@cache
def arrays() -> dict[str, Tensor]:
    with np.load(GOLDEN / "reference.npz") as archive:
        return {name: torch.from_numpy(archive[name]) for name in archive.files}


def filled(name: str, shape: list[int]) -> Tensor:
    generator = np.random.default_rng(zlib.crc32(f"{reference()['seed']}:{name}".encode()))
    noise = torch.from_numpy(generator.standard_normal(shape).astype(np.float32))
    match name.rsplit(".", 1)[-1]:
        case "temperature":
            return 1 + 0.1 * noise
        case "lambda_dw":
            return 0.5 * noise
        case "dw_kernel":
            return noise / 3
        case "bias":
            return 0.1 * noise
    if len(shape) == 1:
        return 1 + 0.1 * noise
    return noise / float(np.prod(shape[1:])) ** 0.5


def reference_state_dict() -> dict[str, Tensor]:
    return {name: filled(name, shape) for name, shape in reference()["parameters"].items()}


def golden_network() -> TAT:
    config = reference()["config"]
    network = TAT(num_blocks=config["num_blocks"], num_refinement_blocks=config["num_refinement_blocks"])
    network.load_state_dict(from_reference(reference_state_dict()))
    return network.eval()
