"""Fused calls of PyTorch tensors that went well: one with the same options, of any tensors, takes little of the host's
time.

What is remembered are options, checked and made a struct, and which of the tensors there were. Address, shape, dtype,
device and strides of each tensor are read afresh in each call, and the library checks them as in any other. With
PyTorch 2.10 and later the library itself reads them, by DLPack's exchange API (runtime/api/python_call.h); before,
Python does.
"""

from __future__ import annotations

import ctypes as c
import functools
import sys
from typing import Any, Callable

from . import _library as lib
from ._library import library
from ._tensors import capsule_pointer
from .enums import MNNVLQuantType, QuantizationSFLayout

#: What `launch` returns for objects that it cannot read or did not expect; nothing was launched.
NOT_KNOWN = -1

#: Kinds of calls that a workspace remembers.
MOST = 32


def can_be_known(tensors: tuple[Any, ...], output_scale: Any, epsilon: Any, weight_bias: Any) -> bool:
    """PyTorch's, with rows; a scale that can be read afresh in each call; other numbers that stay as they are."""
    tensor_type = sys.modules["torch"].Tensor
    if not (epsilon is None or isinstance(epsilon, (float, int))) or not isinstance(weight_bias, (float, int)):
        return False
    if isinstance(output_scale, tensor_type):
        if _python() is None:
            return False
    elif not (output_scale is None or isinstance(output_scale, (float, int))):
        return False
    return all(tensor is None or isinstance(tensor, tensor_type) and tensor.numel() > 0 for tensor in tensors)


class KnownCall:
    """launch(input, residual_in, gamma, output, residual_out, quant_out, scale_out, output_scale) returns the library's
    status or NOT_KNOWN, in a workspace that lives."""

    __slots__ = ("launch", "options", "_kept")

    def __init__(self, workspace: Any, call: lib.FusedCall, tensors: tuple[Any, ...], output_scale: Any,
                 options: tuple[Any, ...]) -> None:
        self.options = options
        python = _python()
        if python is not None:
            self.launch, self._kept = python.function(workspace, call, output_scale)
        else:
            self.launch, self._kept = _by_attributes(workspace, call, tensors, output_scale), call


# --- by Python --------------------------------------------------------------------------------------------------------


def _by_attributes(workspace: Any, call: lib.FusedCall, tensors: tuple[Any, ...], output_scale: Any) -> Callable:
    linear = call.quant == MNNVLQuantType.DYNAMIC_FP8 or call.layout == QuantizationSFLayout.LINEAR
    is_matrix = (True, True, False, True, True, True, linear)
    # By tensor: its place in the struct (the size comes first, a tensor has four words: address, rows, columns, dtype).
    expected = [None if tensor is None else
                [1 + 4 * index, matrix, type(tensor), tensor.dtype, tensor.device, tensor.shape]
                for index, (tensor, matrix) in enumerate(zip(tensors, is_matrix))]
    words = (c.c_uint64 * (c.sizeof(call) // 8)).from_buffer(call)
    name = "fused_allreduce_add_rmsnorm" + ("_quant" if call.quant != MNNVLQuantType.NONE else "")
    function, pointer, handle = library().unchecked(name), c.pointer(call), workspace.handle
    stream = functools.partial(workspace.raw_stream, workspace.device)
    is_number = output_scale is not None

    def launch(*arguments: Any) -> int:
        for tensor, wanted in zip(arguments, expected):
            if tensor is None or wanted is None:
                if tensor is not wanted:
                    return NOT_KNOWN
                continue
            word, matrix, kind, dtype, device, shape = wanted
            if type(tensor) is not kind or tensor.dtype is not dtype or not tensor.is_contiguous():
                return NOT_KNOWN
            if tensor.device != device:
                return NOT_KNOWN
            if tensor.shape != shape:  # that which the struct has
                shape = tensor.shape
                if matrix and len(shape) != 2:
                    return NOT_KNOWN
                words[word + 1], words[word + 2] = shape if matrix else (1, tensor.numel())
                wanted[5] = shape
            words[word] = tensor.data_ptr()
        if is_number:
            call.output_scale = arguments[7]
        return function(handle, pointer, stream())

    return launch


# --- by the library ---------------------------------------------------------------------------------------------------

_PYTHON = {"PyLong_AsVoidPtr": "long_as_pointer", "PyLong_FromLong": "long_from_long",
           "PyFloat_AsDouble": "float_as_double", "PyErr_Occurred": "error_occurred", "PyErr_Clear": "error_clear",
           "PyObject_Type": "type_of", "PyType_IsSubtype": "is_subtype", "Py_DecRef": "release",
           "PyEval_SaveThread": "save_thread", "PyEval_RestoreThread": "restore_thread"}
_NO_SCALE, _NUMBER, _TENSOR = range(3)


class _PythonApi(c.Structure):
    _fields_ = [(name, c.c_void_p) for name in _PYTHON.values()]


class _PythonCall(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("workspace", c.c_void_p), ("like", c.POINTER(lib.FusedCall)),
                ("none", c.c_void_p), ("tensor_type", c.c_void_p), ("view", c.c_void_p), ("current_stream", c.c_void_p),
                ("device", c.c_int32), ("scale", c.c_int32)]


class _ExchangeApi(c.Structure):
    """DLPackExchangeAPI, DLPack 1.3."""

    _fields_ = [("major", c.c_uint32), ("minor", c.c_uint32), ("previous", c.c_void_p), ("allocate", c.c_void_p),
                ("managed_tensor", c.c_void_p), ("to_object", c.c_void_p), ("view", c.c_void_p),
                ("current_stream", c.c_void_p)]


class _Python:
    """The library's function of Python objects, for tensors of one type."""

    def __init__(self, tensor_type: type, exchange: _ExchangeApi) -> None:
        api = _PythonApi(*(c.cast(getattr(c.pythonapi, name), c.c_void_p) for name in _PYTHON))
        self.tensor_type, self.exchange = tensor_type, exchange
        self.method = library().python_start(c.byref(api))
        self.new = c.PYFUNCTYPE(c.py_object, c.c_void_p, c.py_object, c.c_void_p)(("PyCFunction_NewEx", c.pythonapi))

    def function(self, workspace: Any, call: lib.FusedCall, output_scale: Any) -> tuple[Callable, Any]:
        """And what must live as long."""
        scale = (_NO_SCALE if output_scale is None else _TENSOR if isinstance(output_scale, self.tensor_type) else
                 _NUMBER)
        struct = _PythonCall(c.sizeof(_PythonCall), workspace.handle, c.pointer(call), id(None), id(self.tensor_type),
                             self.exchange.view, self.exchange.current_stream, workspace.device, scale)
        return self.new(self.method, c.addressof(struct), None), struct


def look() -> None:
    """Whether the library can read tensors is found out when a workspace is made."""
    _python()


@functools.cache
def _python() -> _Python | None:
    """None where this PyTorch, this Python or this library has not what it takes."""
    tensor_type = sys.modules["torch"].Tensor
    capsule = getattr(tensor_type, "__dlpack_c_exchange_api__", None)
    if capsule is None or sys.implementation.name != "cpython":
        return None
    try:
        exchange = _ExchangeApi.from_address(capsule_pointer(capsule, b"dlpack_exchange_api"))
    except ValueError:  # a capsule of another name
        return None
    usable = exchange.major == 1 and exchange.view and exchange.current_stream
    return _Python(tensor_type, exchange) if usable else None
