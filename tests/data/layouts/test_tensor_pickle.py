import builtins
import contextlib
import io
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.data.layouts.tensor_pickle import load_array
from bundle.tat.refusal import RefusedInputError


class Call:
    """Pickles as a call of any function with any arguments."""

    def __init__(self, function, *arguments, state=None):
        self.function, self.arguments, self.state = function, arguments, state

    def __reduce__(self):
        return (self.function, self.arguments) if self.state is None else (self.function, self.arguments, self.state)


class Runs:
    """Leaves a trace when it is unpickled as torch and pickle do it."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def write(folder, content):
    path = folder / "slice.bin"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    return path


def zipped_storage(values: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # typed storages are deprecated, but they are what files hold
        torch.save(values.storage(), buffer)
    return buffer.getvalue()


def rebuilt(storage: bytes, size=(1, 4, 5), stride=(20, 5, 1), offset=0):
    load = Call(torch.storage._load_from_bytes, storage)
    return Call(torch._utils._rebuild_tensor_v2, load, offset, size, stride, False, None)


@given(
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    dtype=st.sampled_from(["<f4", ">f4", "<f8", "<f2", "<i2", ">u2", "u1", "<i8"]),
    order=st.sampled_from("CF"),
)
def test_arrays_come_back(tmp_path_factory, protocol, shape, dtype, order):
    values = np.asarray(np.random.default_rng(0).uniform(0, 100, shape), dtype=dtype, order=order)
    path = write(tmp_path_factory.mktemp("arrays"), pickle.dumps(values, protocol=protocol))
    np.testing.assert_array_equal(load_array(path), values)


@given(
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int16, torch.uint8]),
    view=st.sampled_from([lambda x: x, lambda x: x.mT, lambda x: x[-1:], lambda x: x[..., ::2]]),
)
def test_tensors_come_back_views_too(tmp_path_factory, protocol, shape, dtype, view):
    values = view((torch.rand(*shape) * 100).to(dtype))
    path = write(tmp_path_factory.mktemp("tensors"), pickle.dumps(values, protocol=protocol))
    np.testing.assert_array_equal(load_array(path), values.float().numpy() if values.is_floating_point() else values)


def test_a_storage_of_torchs_newer_format(tmp_path):
    values = torch.arange(20.0)
    np.testing.assert_array_equal(
        load_array(write(tmp_path, rebuilt(zipped_storage(values)))), values.reshape(1, 4, 5).numpy()
    )


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_file_does_nothing(tmp_path, protocol):
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(Runs(tmp_path / "proof"), protocol=protocol))  # noqa: S301 - our own, to show that it runs
    assert (tmp_path / "proof").exists()
    for content in (Runs(trace), [torch.zeros(1, 2, 2), Runs(trace)]):
        with pytest.raises(RefusedInputError, match="pass a pickled array or tensor"):
            load_array(write(tmp_path, pickle.dumps(content, protocol=protocol)))
    assert not trace.exists()


def test_a_malicious_storage_inside_a_tensor_does_nothing(tmp_path):
    trace = tmp_path / "trace"
    zipped = io.BytesIO()
    torch.save(Runs(trace), zipped)
    for inner in (pickle.dumps(Runs(trace), protocol=2), zipped.getvalue()):
        with pytest.raises(RefusedInputError, match="cannot read"):
            load_array(write(tmp_path, rebuilt(inner)))
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Call(builtins.eval, "1"), "it names (builtins|__builtin__).eval"),
        (Call(torch.load, "x"), "it names torch.serialization.load"),
        (Call(np.load, "x"), "it names numpy.load"),
        (Call(torch.zeros, 10**12), "it names builtins.getattr"),
        (torch.nn.Linear(1, 1), "it takes the pickle step"),
        ({"image": torch.zeros(1, 2, 2)}, "it takes the pickle step EMPTY_DICT"),
        ([torch.zeros(1, 2, 2)], "it takes the pickle step EMPTY_LIST"),
        ((torch.zeros(1, 2, 2),), "it holds no array"),
        ("text", "it holds no array"),
        (3, "it holds no array"),
        (np.array(["a"]), "it holds values of type 'U1'"),
        (np.array([1, None]), "it takes the pickle step"),
        (np.zeros(2, dtype=[("a", "f4")]), "it holds values of type|it takes the pickle step"),
        (np.zeros(2, dtype=complex), "it holds values of type 'c16'"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path, content, reason):
    with pytest.raises(RefusedInputError, match=reason) as caught:
        load_array(write(tmp_path, content))
    assert "\n" not in str(caught.value)


def deep_pickle(depth):
    return b"\x80\x04" + b")" + b"\x85" * depth + b"."


LARGE = 10**15
# numpy's own rebuild functions, wherever this version keeps them.
RECONSTRUCT, FROM_BUFFER = np.zeros(1).__reduce__()[0], np.zeros(1).__reduce_ex__(5)[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "pickle exhausted|Ran out of input|pickle"),
        (b"not a pickle", "cannot read"),
        (pickle.dumps(torch.zeros(1, 2, 2))[:-20], "cannot read"),
        (deep_pickle(100_000), "more than 500 pickle steps"),
        (b"\x80\x04r\xff\xff\xff\x7f.", "its memo has the index|stack"),
        (b"\x80\x04Nr\xff\xff\xff\x7f.", "its memo has the index 2147483647"),
        (b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"x.", "cannot read"),
        (rebuilt(zipped_storage(torch.zeros(20)), size=(1, LARGE, LARGE)), "is larger than its storage"),
        (rebuilt(zipped_storage(torch.zeros(20)), size=(1, 4, 5), stride=(20, 500, 1)), "out of bounds"),
        (rebuilt(zipped_storage(torch.zeros(20)), offset=5), "out of bounds"),
        (rebuilt(zipped_storage(torch.zeros(20)), offset=-5), "cannot read"),
        (rebuilt(zipped_storage(torch.zeros(20)), stride=(20, -5, 1)), "cannot read"),
        (Call(RECONSTRUCT, np.ndarray, (LARGE,), b"b"), "it holds no array"),
        (
            Call(
                RECONSTRUCT,
                np.ndarray,
                (0,),
                b"b",
                state=(1, (LARGE,), np.dtype("f4"), False, b""),
            ),
            "cannot read",
        ),
        (Call(FROM_BUFFER, b"\0" * 8, "f8", (1,), "C"), "an array of unusual layout"),
    ],
    # Pickled bytes may differ between two processes that collect the tests.
    ids=lambda value: value if isinstance(value, str) else "content",
)
def test_contradictions_and_bombs_are_refused(tmp_path, content, reason):
    with pytest.raises(RefusedInputError, match=reason):
        load_array(write(tmp_path, content))


def test_a_compressed_storage_is_refused(tmp_path):
    swollen = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(zipped_storage(torch.zeros(100_000)))) as stored,
        zipfile.ZipFile(swollen, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    with pytest.raises(RefusedInputError, match="its storage is compressed"):
        load_array(write(tmp_path, rebuilt(swollen.getvalue())))


def test_a_large_file_is_not_even_read(tmp_path, monkeypatch):
    monkeypatch.setattr("bundle.tat.data.layouts.tensor_pickle.MAX_BYTES", 100)
    with pytest.raises(RefusedInputError, match="more than 100 bytes"):
        load_array(write(tmp_path, torch.zeros(1, 20, 20)))


@given(content=st.binary(max_size=200))
def test_noise_is_refused(tmp_path_factory, content):
    with pytest.raises(RefusedInputError):
        load_array(write(tmp_path_factory.mktemp("noise"), content))


@given(position=st.integers(0, 500), byte=st.integers(0, 255))
def test_a_flipped_byte_gives_an_array_or_a_refusal(tmp_path_factory, position, byte):
    content = bytearray(pickle.dumps(torch.ones(1, 4, 5)))
    content[position % len(content)] = byte
    with contextlib.suppress(RefusedInputError):
        assert isinstance(load_array(write(tmp_path_factory.mktemp("flipped"), bytes(content))), np.ndarray)
