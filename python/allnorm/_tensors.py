"""Arrays of any framework as the library sees them: an address, a shape, a dtype, a device.

PyTorch and NumPy are read directly, all others by DLPack (https://dmlc.github.io/dlpack). Nothing is imported that the
program has not.
"""

from __future__ import annotations

import ctypes as c
import sys
from typing import Any, NamedTuple

from . import _library as lib
from .errors import ArgumentError, refuse

HOST = -1


class View(NamedTuple):
    data: int
    shape: tuple[int, ...]
    dtype: int  #: As _library numbers them.
    device: int  #: The GPU, or HOST.


_BY_NAME = {name: number for number, name in lib.DTYPE_NAMES.items()}


def framework(array: Any) -> str:
    """The name of the package that the array is of: "torch", "numpy", "cupy", ...; of a subclass of theirs, too."""
    packages = [kind.__module__.partition(".")[0] for kind in type(array).__mro__]
    return next((package for package in packages if package in ("torch", "numpy", "cupy")), packages[0])


def dtype_number(dtype: Any, argument: str) -> int:
    """Of a torch or NumPy dtype, a type, or a name."""
    name = str(getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or dtype).rpartition(".")[2]
    if name not in _BY_NAME:
        refuse(f"{argument}.dtype", name, ", ".join(_BY_NAME))
    return _BY_NAME[name]


# --- DLPack -----------------------------------------------------------------------------------------------------------

_CPU, _CUDA, _CUDA_MANAGED = 1, 2, 13
# (code, bits, lanes), as DLPack 1.1 has them
_DLPACK_DTYPES = {(2, 32, 1): lib.F32, (2, 16, 1): lib.F16, (4, 16, 1): lib.BF16, (10, 8, 1): lib.E4M3,
                  (1, 8, 1): lib.U8, (17, 4, 2): lib.E2M1X2}


class _DLTensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("device_type", c.c_int32), ("device_id", c.c_int32), ("ndim", c.c_int32),
                ("code", c.c_uint8), ("bits", c.c_uint8), ("lanes", c.c_uint16), ("shape", c.POINTER(c.c_int64)),
                ("strides", c.POINTER(c.c_int64)), ("byte_offset", c.c_uint64)]


#: A prototype of our own: those of ctypes.pythonapi are shared by all of a process.
capsule_pointer = c.PYFUNCTYPE(c.c_void_p, c.py_object, c.c_char_p)(("PyCapsule_GetPointer", c.pythonapi))


def _is_contiguous(shape: tuple[int, ...], strides: list[int]) -> bool:
    expected = 1
    for extent, stride in zip(reversed(shape), reversed(strides)):
        if extent != 1 and stride != expected:
            return False
        expected *= extent
    return True


def _dlpack_view(array: Any, argument: str, stream: int | None) -> View:
    arrays = "an array of PyTorch, NumPy, CuPy, JAX or another with __dlpack__()"
    if not hasattr(array, "__dlpack__"):
        refuse(argument, type(array).__name__, arrays)
    capsule = array.__dlpack__(stream=stream) if stream is not None else array.__dlpack__()
    # The array keeps the memory; the capsule gives its own reference back when it goes, since nobody takes it.
    try:
        tensor = _DLTensor.from_address(capsule_pointer(capsule, b"dltensor"))
    except ValueError:
        refuse(argument, type(array).__name__, arrays)
    shape = tuple(tensor.shape[: tensor.ndim])
    dtype = _DLPACK_DTYPES.get((tensor.code, tensor.bits, tensor.lanes))
    if dtype is None:
        refuse(f"{argument}.dtype", f"DLPack code {tensor.code}, {tensor.bits} bits, {tensor.lanes} lanes",
               ", ".join(_BY_NAME))
    if tensor.strides and not _is_contiguous(shape, tensor.strides[: tensor.ndim]):
        refuse(f"{argument}.strides", tensor.strides[: tensor.ndim], "those of a dense row-major array")
    if tensor.device_type not in (_CPU, _CUDA, _CUDA_MANAGED):
        refuse(f"{argument}.device", f"DLPack device type {tensor.device_type}", "a CUDA GPU")
    device = HOST if tensor.device_type == _CPU else tensor.device_id
    return View((tensor.data or 0) + tensor.byte_offset, shape, dtype, device)


# --- arrays -----------------------------------------------------------------------------------------------------------


def view(array: Any, argument: str, stream: int | None = None) -> View:
    """Raises ArgumentError, which names the argument, for what is no dense array of a dtype that the call knows."""
    package = framework(array)
    if package == "torch":
        if not array.is_contiguous():
            refuse(f"{argument}.strides", tuple(array.stride()), "those of a dense row-major tensor")
        index = array.device.index if array.device.type == "cuda" else HOST
        return View(array.data_ptr(), tuple(array.shape), dtype_number(array.dtype, argument), index)
    if package == "numpy":
        if not array.flags.c_contiguous:
            refuse(f"{argument}.strides", array.strides, "those of a dense row-major array")
        return View(array.ctypes.data, array.shape, dtype_number(array.dtype, argument), HOST)
    return _dlpack_view(array, argument, stream)


def empty(like: Any, shape: tuple[int, ...], dtype: int, argument: str) -> Any:
    """A new array of the same framework and device."""
    package, name = framework(like), lib.DTYPE_NAMES[dtype]
    if package == "torch":
        torch = sys.modules["torch"]
        return torch.empty(shape, dtype=getattr(torch, name), device=like.device)
    if package == "numpy":
        return sys.modules["numpy"].empty(shape, dtype=_numpy_dtype(name))
    if package == "cupy" and dtype in (lib.F32, lib.F16, lib.U8, lib.E4M3):
        # CuPy has no e4m3: its bytes.
        return sys.modules["cupy"].empty(shape, dtype="uint8" if dtype == lib.E4M3 else name)
    raise ArgumentError(f"{argument}: none given, allowed: an array; AllNorm cannot make {name} ones of {package}")


def _numpy_dtype(name: str) -> Any:
    """NumPy's own, or ml_dtypes' where that is imported; e4m3 without it as bytes."""
    extra = sys.modules.get("ml_dtypes")
    if extra is not None and hasattr(extra, name):
        return getattr(extra, name)
    return "uint8" if name in ("float8_e4m3fn", "float4_e2m1fn_x2") else name


def current_stream(array: Any, device: int) -> int:
    """The framework's current stream on that GPU, as an address; 0 is the legacy default stream."""
    package = framework(array)
    if package == "torch":
        return sys.modules["torch"].cuda.current_stream(device).cuda_stream
    if package == "cupy":
        return sys.modules["cupy"].cuda.get_current_stream().ptr
    return 0
