"""liballnorm.so through its C ABI (runtime/include/allnorm/allnorm_c.h), by ctypes.

No compiled module: one wheel serves all versions of Python, and nothing but the driver and libnvrtc is needed at run time.
"""

from __future__ import annotations

import ctypes as c
import importlib.util
import os
from pathlib import Path
from typing import Any

from .errors import AllNormError, ArgumentError

F32, F16, BF16, E4M3, U8, E2M1X2 = range(6)
ELEMENT_BYTES = {F32: 4, F16: 2, BF16: 2, E4M3: 1, U8: 1, E2M1X2: 1}
DTYPE_NAMES = {F32: "float32", F16: "float16", BF16: "bfloat16", E4M3: "float8_e4m3fn", U8: "uint8",
               E2M1X2: "float4_e2m1fn_x2"}

DEFAULT_TIMEOUT = -1.0

_INVALID_ARGUMENT, _CAPACITY = 1, 4


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("rows", c.c_int64), ("columns", c.c_int64), ("dtype", c.c_int32)]


class ContextOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("table_path", c.c_char_p), ("cache_directory", c.c_char_p),
                ("device", c.c_char_p), ("cache_mode", c.c_char_p), ("prebuilt_directories", c.c_char_p)]


class WorldOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("devices", c.POINTER(c.c_int32)), ("world_size", c.c_int32),
                ("max_row_bytes", c.c_int64), ("max_tokens_one_shot", c.c_int64), ("max_tokens_two_shot", c.c_int64),
                ("timeout_seconds", c.c_double), ("multicast", c.c_int32), ("checked", c.c_int32)]


class WorkspaceStatus(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("healthy", c.c_int32), ("code", c.c_int32), ("rank", c.c_int32),
                ("waited_for", c.c_int32), ("row", c.c_int64), ("epoch", c.c_uint64), ("strategy", c.c_int32),
                ("phase", c.c_char * 16), ("message", c.c_char * 492)]


class FusedCall(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("input", Tensor), ("residual_in", Tensor), ("gamma", Tensor),
                ("output", Tensor), ("residual_out", Tensor), ("quant_out", Tensor), ("scale_out", Tensor),
                ("output_scale_pointer", c.c_void_p), ("output_scale", c.c_float), ("epsilon", c.c_float),
                ("weight_bias", c.c_float), ("quant", c.c_int32), ("layout", c.c_int32), ("strategy", c.c_int32),
                ("launch_with_pdl", c.c_int32), ("pdl_trigger", c.c_int32), ("zero_scale_padding", c.c_int32),
                ("reserved", c.c_int32)]


class AllReduceCall(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("input", Tensor), ("output", Tensor), ("strategy", c.c_int32),
                ("launch_with_pdl", c.c_int32), ("pdl_trigger", c.c_int32), ("reserved", c.c_int32)]


#: int32 gather(user, mine, bytes, all)
AllGather = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_void_p, c.c_size_t, c.c_void_p)

_INITS = {ContextOptions: "context_options", WorldOptions: "world_options", WorkspaceStatus: "workspace_status",
          FusedCall: "fused_call", AllReduceCall: "allreduce_call"}

_HANDLE, _OUT = c.c_void_p, c.POINTER(c.c_void_p)
_FUNCTIONS = {
    "context_create": [c.POINTER(ContextOptions), _OUT],
    "context_synchronize": [_HANDLE, c.c_int32],
    "buffer_create": [_HANDLE, c.c_int32, c.c_size_t, _OUT],
    "buffer_data": [_HANDLE, _OUT],
    "buffer_write": [_HANDLE, c.c_size_t, c.c_void_p, c.c_size_t],
    "buffer_read": [_HANDLE, c.c_size_t, c.c_void_p, c.c_size_t],
    "stream_create": [_HANDLE, c.c_int32, _OUT],
    "stream_destroy": [_HANDLE, c.c_int32, c.c_void_p],
    "stream_synchronize": [_HANDLE, c.c_int32, c.c_void_p],
    "world_create": [_HANDLE, c.POINTER(WorldOptions), _OUT],
    "world_create_in_group": [_HANDLE, _HANDLE, c.c_int32, c.POINTER(WorldOptions), _OUT],
    "world_rank": [_HANDLE, c.c_int32, _OUT],
    "world_own": [_HANDLE, _OUT],
    "world_reset": [_HANDLE],
    "world_suspend": [_HANDLE],
    "world_resume": [_HANDLE],
    "group_meet_launched": [c.c_double, _OUT],
    "group_from_all_gather": [c.c_int32, c.c_int32, AllGather, c.c_void_p, _OUT],
    "workspace_max_tokens": [_HANDLE, c.c_int32, c.c_int32, c.c_int32, c.POINTER(c.c_int64)],
    "workspace_required_bytes": [c.POINTER(WorldOptions), c.POINTER(c.c_int64)],
    "workspace_get_status": [_HANDLE, c.POINTER(WorkspaceStatus)],
    "workspace_abort": [_HANDLE],
    "workspace_set_timeout": [_HANDLE, c.c_double],
    "fused_allreduce_add_rmsnorm_quant": [_HANDLE, c.POINTER(FusedCall), c.c_void_p],
    "fused_allreduce_add_rmsnorm": [_HANDLE, c.POINTER(FusedCall), c.c_void_p],
    "allreduce": [_HANDLE, c.POINTER(AllReduceCall), c.c_void_p],
    "prepare_fused": [_HANDLE, c.POINTER(FusedCall)],
    "prepare_allreduce": [_HANDLE, c.POINTER(AllReduceCall)],
    **{f"{name}_init_sized": [c.c_void_p, c.c_size_t] for name in _INITS.values()},
}
_DESTRUCTORS = ("context_destroy", "buffer_destroy", "world_destroy", "group_destroy")

PACKAGE = Path(__file__).parent


def _find_nvrtc() -> None:
    """NVIDIA's pip packages: their NVRTC is named to the library, unless the user has named one."""
    if os.environ.get("ALLNORM_NVRTC"):
        return
    spec = importlib.util.find_spec("nvidia")
    for root in (spec.submodule_search_locations or []) if spec else []:
        for folder in ("cu13/lib", "cuda_nvrtc/lib"):
            for version in ("13", "12"):
                library = Path(root, folder, f"libnvrtc.so.{version}")
                if library.exists():
                    os.environ["ALLNORM_NVRTC"] = str(library)
                    return


class Library:
    """The functions of the C ABI without their prefix; those that can fail raise."""

    def __init__(self) -> None:
        path = os.environ.get("ALLNORM_LIBRARY") or str(PACKAGE / "lib" / "liballnorm.so.0")
        _find_nvrtc()
        try:
            self._library = c.CDLL(path)
        except OSError as error:
            raise AllNormError(f"cannot load {path}: {error}; install AllNorm's wheel again, or name another library in "
                               "ALLNORM_LIBRARY", "driver") from error
        self._message = self._function("last_error_message", [], c.c_char_p)
        self._status_name = self._function("status_name", [c.c_int32], c.c_char_p)
        self.version: str = self._function("version", [], c.c_char_p)().decode()
        for name, arguments in _FUNCTIONS.items():
            function = self._function(name, arguments, c.c_int32)
            function.errcheck = self._check
            setattr(self, name, function)
        for name in _DESTRUCTORS:
            setattr(self, name, self._function(name, [_HANDLE], None))
        self.python_start = self._function("python_start", [c.c_void_p], c.c_void_p)

    def __getattr__(self, name: str) -> Any:  # for type checkers: the functions are set above
        raise AttributeError(name)

    def _function(self, name: str, arguments: list, result: Any) -> Any:
        function = getattr(self._library, f"allnorm_{name}")
        function.argtypes, function.restype = arguments, result
        return function

    def error(self, status: int, message: str) -> AllNormError:
        code = self._status_name(status).decode()
        if status in (_INVALID_ARGUMENT, _CAPACITY):
            return ArgumentError(message, code)
        return AllNormError(message, code)

    def _check(self, status: int, function: Any, arguments: Any) -> None:
        if status != 0:
            self.raise_last(status)

    def raise_last(self, status: int) -> None:
        """What this thread's last call, which returned `status`, has to say."""
        raise self.error(status, self._message().decode())

    def unchecked(self, name: str) -> Any:
        """A function whose caller looks at the status that it returns."""
        prototype = c.CFUNCTYPE(c.c_int32, *_FUNCTIONS[name])
        return prototype((f"allnorm_{name}", self._library))

    def new(self, struct: type) -> Any:
        """A struct with the library's defaults."""
        value = struct()
        getattr(self, f"{_INITS[struct]}_init_sized")(c.byref(value), c.sizeof(struct))
        return value

    def get(self, function: Any, *arguments: Any, result: type = c.c_void_p) -> Any:
        """What a function stores through its last argument."""
        value = result()
        function(*arguments, c.byref(value))
        return value.value


_library: Library | None = None


def library() -> Library:
    """Loaded when it is first needed, so that importing needs nothing."""
    global _library
    if _library is None:
        _library = Library()
    return _library
