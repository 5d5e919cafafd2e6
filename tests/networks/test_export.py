"""Recorded networks are right at every size and batch, or refuse.

The files of the whole network: tests/integration/test_exports.py.
"""

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.export import Dim

from bundle.tat.networks.recorded_windows import attend_at_once, covering_places, window_pixels
from bundle.tat.networks.restormer import MDTA, TransformerBlock
from bundle.tat.networks.tlc import merge_windows, split_windows, window_starts
from bundle.tat.networks.weight_adaptive import BlockKernels
from tests.networks.test_tat import small

CHANNELS = 4
WINDOW = 12
N_THREADS = 4
# Within a window, as long as one, larger on one axis, and on both with many windows.
SIZES = [(16, 16), (24, 16), (16, 40), (72, 104)]
sizes = st.integers(1, 40)
# What a recording raises for other sizes, and what it says; the second each is of older releases of torch.
REFUSALS, GUARD = (AssertionError, RuntimeError), "Guard failed|Expected input"


class Block(nn.Module):
    """An adaptive block: all that depends on the size and the batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block = TransformerBlock(CHANNELS, 2, window=WINDOW, expansion=2.0, bias=True, adaptive=True)
        for name, parameter in self.named_parameters():
            if name.endswith("adaptation"):
                nn.init.normal_(parameter, std=0.5)

    def forward(self, image, attention, feed_forward):
        return self.block(image, BlockKernels(attention, feed_forward))


def draw_inputs(batch, height, width):
    generator = torch.Generator().manual_seed(height + width)
    shapes = ((CHANNELS, height, width), (3 * CHANNELS, 1, 3, 3), (4 * CHANNELS, 1, 3, 3))
    return tuple(torch.randn(batch, *shape, generator=generator) for shape in shapes)


def assert_right(restore, network, inputs):
    with torch.inference_mode():
        torch.testing.assert_close(restore(*inputs), network(*inputs), rtol=0, atol=1e-5)


def dynamic_shapes():
    batch = Dim("batch", min=1)
    image = {0: batch, 2: 8 * Dim("h", min=2), 3: 8 * Dim("w", min=2)}
    return {"image": image, "attention": {0: batch}, "feed_forward": {0: batch}}


@pytest.fixture(scope="module")
def block():
    return Block().eval()


@pytest.fixture(scope="module")
def exported(block):
    with torch.no_grad():
        return torch.export.export(block, draw_inputs(2, 32, 40), dynamic_shapes=dynamic_shapes()).module()


@pytest.fixture(scope="module")
def onnx_path(block, tmp_path_factory):
    pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    path = tmp_path_factory.mktemp("onnx") / "block.onnx"
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecated calls
        arguments = {"dynamo": True, "dynamic_shapes": dynamic_shapes(), "verbose": False}
        torch.onnx.export(block, draw_inputs(2, 32, 40), **arguments).save(path)
    return path


@pytest.fixture(scope="module")
def onnx_block(onnx_path):
    runtime = pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = N_THREADS
    session = runtime.InferenceSession(onnx_path, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda *inputs: torch.from_numpy(
        session.run(None, dict(zip(names, (value.numpy() for value in inputs), strict=True)))[0]
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_exported_block_is_right_everywhere(block, exported, batch, size):
    assert_right(exported, block, draw_inputs(batch, *size))


@pytest.mark.parametrize("size", [(8, 16), (16, 8), (12, 24)], ids=str)
def test_exported_block_refuses_sizes_that_it_does_not_declare(exported, size):
    with pytest.raises(REFUSALS, match=GUARD):
        exported(*draw_inputs(1, *size))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_onnx_block_is_right_everywhere(block, onnx_block, batch, size):
    assert_right(onnx_block, block, draw_inputs(batch, *size))


def test_onnx_block_adds_nothing_from_two_threads_to_one_place(onnx_path, onnx_block):
    onnx = pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    operators = {node.op_type for node in onnx.load(onnx_path).graph.node}
    assert not {name for name in operators if name.startswith("Scatter")}
    inputs = draw_inputs(3, 120, 136)
    first = onnx_block(*inputs)
    assert all(torch.equal(onnx_block(*inputs), first) for _ in range(10))


@pytest.mark.parametrize("size", [(32, 32), (16, 24), (104, 56), (40, 128)], ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_scripted_network_is_right_everywhere(scripted, batch, size):
    network = small()
    assert_right(scripted, network, (torch.rand(batch, 1, *size),))


@pytest.fixture(scope="module")
def scripted():
    return torch.jit.script(small())


def test_export_without_dynamic_shapes_refuses_other_sizes(block):
    with torch.no_grad():
        fixed = torch.export.export(block, draw_inputs(1, 16, 24)).module()
    assert_right(fixed, block, draw_inputs(1, 16, 24))
    for other in ((2, 16, 24), (1, 24, 24)):
        with pytest.raises(REFUSALS, match=GUARD):
            fixed(*draw_inputs(*other))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("with_gradient", [True, False])
def test_the_network_refuses_to_be_traced(with_gradient):
    with torch.set_grad_enabled(with_gradient), pytest.raises(ValueError, match=r"use torch\.jit\.script instead"):
        torch.jit.trace(small(), torch.rand(1, 1, 32, 40))


@given(batch=st.integers(1, 3), height=sizes, width=sizes, window=st.integers(1, 20))
def test_windows_at_once_are_those_of_the_loop(batch, height, width, window):
    torch.manual_seed(0)
    attention = MDTA(2, 1, window=window, bias=False, adaptive=False)
    qkv = torch.randn(batch, 6, height, width)
    with torch.no_grad():
        parts = [attention.attend(part) for part in split_windows(qkv, window)]
        expected = merge_windows(parts, height, width, window)
        torch.testing.assert_close(attend_at_once(attention.attend, qkv, window), expected, rtol=0, atol=1e-5)


@given(batch=st.integers(1, 3), height=sizes, width=sizes, window=st.integers(1, 20))
def test_window_pixels_name_the_pixels_of_the_windows(batch, height, width, window):
    nowhere = batch * height * width
    pixels = torch.arange(nowhere, dtype=torch.float64).reshape(batch, 1, height, width)
    parts = split_windows(pixels, window)
    expected = sorted(sorted(map(int, row)) for row in torch.cat([part.flatten(1) for part in parts]))
    rows = window_pixels(batch, height, width, window, pixels.device).flatten(1)
    found = sorted(sorted(map(int, row[row < nowhere])) for row in rows)
    n_empty = len(found) - len(expected)
    assert n_empty >= 1
    assert found == [[]] * n_empty + expected


@given(batch=st.integers(1, 3), height=sizes, width=sizes, window=st.integers(1, 20))
def test_every_place_is_that_of_its_pixel(batch, height, width, window):
    device = torch.device("cpu")
    pixels = window_pixels(batch, height, width, window, device).flatten()
    for place in covering_places(batch, height, width, window, device):
        assert torch.equal(pixels[place.flatten()], torch.arange(batch * height * width))


@given(size=st.integers(1, 3000), window=st.integers(1, 400))
def test_no_pixel_lies_in_more_than_two_windows_of_an_axis(size, window):
    starts = window_starts(size, window)
    assert all(later - start >= window for start, later in zip(starts, starts[2:], strict=False))
