"""Unpickling one array or tensor, and nothing else, from a file of unknown origin.

A pickle is a program. Here it may call only the stand-ins below: they take the arguments that numpy's and torch's own
rebuild functions take, check them, and make an array. A function that a file names is never called itself.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any, Final, SupportsIndex

import numpy as np
import torch
from numpy.typing import NDArray

from bundle.tat.refusal import RefusedInputError

# A pickled tensor takes about 50 steps and as many memo entries; more is no single array.
MAX_STEPS: Final = 500
MAX_BYTES: Final = 256 * 2**20

# Constants, tuples, the memo, and calls: what arrays and tensors are made of in protocols 0 to 5.
# fmt: off
_ADMITTED_STEPS: Final = frozenset([
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG",
    "LONG1", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT",
    "LONG_BINPUT", "MEMOIZE", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
])
# fmt: on
_ADMITTED_TYPES: Final = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"))


def load_array(path: Path) -> NDArray[Any]:
    """Read a file that holds one pickled numpy array or torch tensor.

    Args:
        path: file that ``pickle.dump`` wrote, in any protocol.

    Returns:
        The array; integers or floats. bfloat16 becomes float32.

    Raises:
        RefusedInputError: the file cannot be read, is no pickle, or names anything but an array or a tensor. Also if it
            is nested or larger than one array is, or its sizes contradict each other.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise pickle.UnpicklingError(f"it has more than {MAX_BYTES} bytes")
        content = path.read_bytes()
        _check_steps(content)
        value = _ArrayUnpickler(io.BytesIO(content)).load()
    except Exception as error:
        # A damaged pickle raises anything from EOFError to OverflowError; after each of them the file cannot be used.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RefusedInputError(f"cannot read {path}: {reason}; pass a pickled array or tensor") from error
    if not isinstance(value, _Array) or value.values is None:
        raise RefusedInputError(f"cannot read {path}: it holds no array; pass a pickled array or tensor")
    return value.values


def _check_steps(content: bytes) -> None:
    """Read through the program without running it, and refuse steps that no array needs."""
    for n_steps, (step, argument, _) in enumerate(pickletools.genops(io.BytesIO(content)), start=1):
        if n_steps > MAX_STEPS:
            raise pickle.UnpicklingError(f"it takes more than {MAX_STEPS} pickle steps")
        if step.name not in _ADMITTED_STEPS:
            raise pickle.UnpicklingError(f"it takes the pickle step {step.name}, which no array needs")
        # The unpickler sizes its memo by the largest index, so that a wild one would use up the memory.
        if step.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument not in range(MAX_STEPS):
            raise pickle.UnpicklingError(f"its memo has the index {argument}, {MAX_STEPS - 1} at most")


class _Array:
    """Stand-in of an ndarray that is being rebuilt: an empty one whose state follows."""

    __slots__ = ("values",)

    def __init__(self, *_: object, values: NDArray[Any] | None = None) -> None:
        self.values = values

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, raw = state
        self.values = _from_buffer(raw, kind, shape, "F" if is_fortran else "C").values


class _Type:
    """Stand-in of a numeric dtype: its code, then its byte order."""

    __slots__ = ("dtype",)

    def __init__(self, code: str, *_: object) -> None:
        if code not in _ADMITTED_TYPES:
            raise pickle.UnpicklingError(f"it holds values of type {code!r}")
        self.dtype: np.dtype[Any] = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Storage:
    """Stand-in of a torch storage: its values in a row."""

    __slots__ = ("values",)

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values


def _from_buffer(raw: bytes, kind: _Type, shape: tuple[int, ...], order: Any, axes: None = None) -> _Array:
    """Stand-in of numpy's ``_frombuffer``, which protocol 5 uses; ``axes`` is of newer versions."""
    if not isinstance(kind, _Type) or axes is not None:
        raise pickle.UnpicklingError("it holds an array of unusual layout")
    return _Array(values=np.frombuffer(raw, kind.dtype).reshape(shape, order=order))


def _rebuild_tensor(
    storage: _Storage, offset: SupportsIndex, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> _Array:
    """Stand-in of torch's ``_rebuild_tensor_v2``, which would grow a storage to any size that the file names."""
    if not isinstance(storage, _Storage) or math.prod(size) > storage.values.numel():
        raise pickle.UnpicklingError(f"its tensor of size {size} is larger than its storage")
    return _Array(values=torch.as_strided(storage.values, size, stride, int(offset)).contiguous().numpy())


def _load_storage(raw: bytes) -> _Storage:
    """Stand-in of torch's ``_load_from_bytes``, which would run any pickle inside the pickle."""
    if zipfile.is_zipfile(io.BytesIO(raw)):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > len(raw):
                # torch never compresses; a few bytes could swell to anything.
                raise pickle.UnpicklingError("its storage is compressed")
    storage = torch.load(io.BytesIO(raw), weights_only=True, map_location="cpu")
    if not isinstance(storage, torch.storage.TypedStorage):
        raise pickle.UnpicklingError(f"it holds a {type(storage).__name__} where a storage is due")
    values = torch.empty(0, dtype=storage.dtype).set_(storage)
    return _Storage(values.float() if values.dtype is torch.bfloat16 else values)


def _encode(text: str, encoding: str) -> bytes:
    """Stand-in of ``_codecs.encode``, with which protocols below 3 write bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _no_hooks() -> None:
    """Stand-in of the empty ``OrderedDict`` of a tensor's hooks."""


_ADMITTED_NAMES: Final[dict[tuple[str, str], object]] = {
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _no_hooks,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch.storage", "_load_from_bytes"): _load_storage,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED_NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None
