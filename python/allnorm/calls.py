"""The three calls, with the names, defaults and results that users of FlashInfer know.

All ranks make the same calls, in the same order. They run on the current stream of the arrays' framework and return at
once. Arguments are checked before anything is launched; ValueError names the argument, what was given and what is
allowed.
"""

from __future__ import annotations

import ctypes as c
from typing import Any

from . import _library as lib
from . import _tensors
from ._known import KnownCall, MOST, NOT_KNOWN, can_be_known
from ._library import library
from .enums import MNNVLAllreduceFusionStrategy, MNNVLQuantType, QuantizationSFLayout
from .errors import refuse
from .workspace import MNNVLAllReduceFusionWorkspace, _strategy

_AUTO = MNNVLAllreduceFusionStrategy.AUTO
_NO_TENSOR = lib.Tensor()


def swizzled_scale_bytes(num_tokens: int, hidden_dim: int) -> int:
    """Of the scales in layout SWIZZLED_128x4: roundup(num_tokens, 128) * roundup(hidden_dim / 16, 4)."""
    return -(-num_tokens // 128) * 128 * (-(-(hidden_dim // 16) // 4) * 4)


class _Arrays:
    """The arrays of one call: views of them, on a simulated GPU copies."""

    def __init__(self, workspace: MNNVLAllReduceFusionWorkspace, first: Any) -> None:
        workspace.check_alive()
        self.workspace = workspace
        self.simulated = None
        if workspace._simulated is not None:
            from .groups import _SimulatedCall

            self.simulated = _SimulatedCall(workspace._simulated, workspace.rank, workspace)
            self.stream = self.simulated.stream()
        else:
            self.stream = _tensors.current_stream(first, workspace.device)

    def tensor(self, array: Any, argument: str, matrix: bool = True, is_output: bool = False,
               dtype: int | None = None) -> lib.Tensor:
        if array is None:
            return _NO_TENSOR
        view = _tensors.view(array, argument, None if self.simulated is not None else self.stream or 1)
        if view.device != self.workspace.device:
            refuse(f"{argument}.device", "the host" if view.device < 0 else f"GPU {view.device}",
                   "the host, for simulated ranks" if self.simulated is not None
                   else f"GPU {self.workspace.device}, that of the workspace")
        if matrix and len(view.shape) != 2:
            refuse(f"{argument}.shape", view.shape, "[num_tokens, hidden_dim], two dimensions")
        rows, columns = view.shape if matrix else (1, _count(view.shape))
        # What has no name for its elements gives them as bytes.
        number = view.dtype if dtype is None or view.dtype != lib.U8 else dtype
        data = view.data
        if self.simulated is not None:
            size = rows * columns * lib.ELEMENT_BYTES[number]
            data = self.simulated.place(array, data, size, argument, is_output) if size else None
        return lib.Tensor(data, rows, columns, number)

    def run(self, function: Any, call: Any) -> None:
        function(self.workspace.handle, c.byref(call), self.stream)
        if self.simulated is not None:
            self.simulated.launched()

    def __enter__(self) -> _Arrays:
        return self

    def __exit__(self, error: Any, *_: Any) -> None:
        if error is not None and self.simulated is not None:
            self.simulated.destroy()


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


#: allnorm.torch_ops, once a workspace was made beside PyTorch: what torch.compile traces in place of the calls.
_in_graph: Any = None


def trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant(
        input: Any, residual_in: Any, gamma: Any, workspace: MNNVLAllReduceFusionWorkspace,
        epsilon: float | None = None, output: Any = None, residual_out: Any = None, quant_out: Any = None,
        scale_out: Any = None, output_scale: Any = None, layout_code: int = QuantizationSFLayout.SWIZZLED_128x4,
        quant_type: int = MNNVLQuantType.NONE, launch_with_pdl: bool = False,
        strategy: MNNVLAllreduceFusionStrategy = _AUTO, weight_bias: float = 0.0) -> tuple[Any, Any, Any, Any]:
    """AllReduce, residual add, RMSNorm and quantization in one kernel.

    input, residual_in: [num_tokens, hidden_dim] float32, float16 or bfloat16. gamma: [hidden_dim] of input's dtype or
    float32. epsilon: default the machine epsilon of input's dtype.

    Optional outputs, made where none is given, but output: residual_out (the sum with the residual) and output (the
    normalised rows), like input; quant_out: for FP8 and DYNAMIC_FP8 [num_tokens, hidden_dim] float8_e4m3fn, for NVFP4
    [num_tokens, hidden_dim // 2] uint8 or float4_e2m1fn_x2; scale_out: for NVFP4 float8_e4m3fn, LINEAR [num_tokens,
    hidden_dim // 16], SWIZZLED_128x4 1-D of swizzled_scale_bytes(); for DYNAMIC_FP8 [num_tokens, 1] float32.

    output_scale: a float, which may be captured in graphs, or one float32 on the GPU; FP8 divides by it, NVFP4
    multiplies. weight_bias is added to gamma.

    Returns (quant_out, scale_out, residual_out, output): scale_out is None for FP8, output where none was given.
    Source: allnorm/fused.h, docs/design.md section 3.
    """
    if _in_graph is not None and _in_graph.is_compiling():
        return _in_graph.fused_quant(input, residual_in, gamma, workspace, epsilon, output, residual_out, quant_out,
                                     scale_out, output_scale, layout_code, quant_type, launch_with_pdl, strategy,
                                     weight_bias)
    # NONE is refused below; calls without quantization are known with it.
    if quant_type != 0 and _launch_known(workspace.known_calls, (
            quant_type, layout_code, strategy, epsilon, weight_bias, launch_with_pdl, output_scale.__class__),
            input, residual_in, gamma, output, residual_out, quant_out, scale_out, output_scale):
        return quant_out, scale_out, residual_out, output
    try:
        quant = MNNVLQuantType(quant_type)
        layout = QuantizationSFLayout(layout_code)
    except ValueError:
        refuse("quant_type and layout_code", (quant_type, layout_code), "members of MNNVLQuantType and "
               "QuantizationSFLayout")
    if quant is MNNVLQuantType.NONE:
        refuse("quant_type", "NONE", "FP8, NVFP4, DYNAMIC_FP8; without quantization call "
               "trtllm_mnnvl_fused_allreduce_add_rmsnorm")
    if layout is QuantizationSFLayout.SWIZZLED_8x4:
        refuse("layout_code", "SWIZZLED_8x4", "SWIZZLED_128x4, LINEAR")
    if len(input.shape) != 2:
        refuse("input.shape", tuple(input.shape), "[num_tokens, hidden_dim], two dimensions")
    tokens, hidden = input.shape
    if residual_out is None:
        residual_out = _tensors.empty(input, (tokens, hidden), _tensors.dtype_number(input.dtype, "input"),
                                      "residual_out")
    nvfp4 = quant is MNNVLQuantType.NVFP4
    if quant_out is None:
        quant_out = _tensors.empty(input, (tokens, hidden // 2 if nvfp4 else hidden), lib.U8 if nvfp4 else lib.E4M3,
                                   "quant_out")
    if quant is MNNVLQuantType.FP8:
        scale_out = None
    elif scale_out is None:
        if quant is MNNVLQuantType.DYNAMIC_FP8:
            shape, kind = (tokens, 1), lib.F32
        elif layout is QuantizationSFLayout.LINEAR:
            shape, kind = (tokens, hidden // 16), lib.E4M3
        else:
            shape, kind = (swizzled_scale_bytes(tokens, hidden),), lib.E4M3
        scale_out = _tensors.empty(input, shape, kind, "scale_out")
    launch_fused(input, residual_in, gamma, workspace, epsilon, output, residual_out, quant_out, scale_out, output_scale,
                 layout_code, quant_type, launch_with_pdl, strategy, weight_bias)
    return quant_out, scale_out, residual_out, output


def trtllm_mnnvl_fused_allreduce_add_rmsnorm(
        input: Any, residual_in: Any, gamma: Any, workspace: MNNVLAllReduceFusionWorkspace,
        epsilon: float | None = None, output: Any = None, residual_out: Any = None, launch_with_pdl: bool = False,
        strategy: MNNVLAllreduceFusionStrategy = _AUTO, weight_bias: float = 0.0) -> tuple[Any, Any]:
    """AllReduce, residual add and RMSNorm in one kernel; arguments as with `_quant`. Returns (output, residual_out)."""
    if _in_graph is not None and _in_graph.is_compiling():
        return _in_graph.fused(input, residual_in, gamma, workspace, epsilon, output, residual_out, launch_with_pdl,
                               strategy, weight_bias)
    if len(input.shape) != 2:
        refuse("input.shape", tuple(input.shape), "[num_tokens, hidden_dim], two dimensions")
    kind = _tensors.dtype_number(input.dtype, "input")
    if output is None:
        output = _tensors.empty(input, tuple(input.shape), kind, "output")
    if residual_out is None:
        residual_out = _tensors.empty(input, tuple(input.shape), kind, "residual_out")
    launch_fused(input, residual_in, gamma, workspace, epsilon, output, residual_out, None, None, None,
                 QuantizationSFLayout.SWIZZLED_128x4, MNNVLQuantType.NONE, launch_with_pdl, strategy, weight_bias)
    return output, residual_out


def trtllm_mnnvl_allreduce(input: Any, workspace: MNNVLAllReduceFusionWorkspace, launch_with_pdl: bool,
                           output: Any = None, strategy: MNNVLAllreduceFusionStrategy = _AUTO) -> Any:
    """The sum of all ranks' inputs, [num_tokens, hidden_dim]. Returns output."""
    if _in_graph is not None and _in_graph.is_compiling():
        return _in_graph.allreduce(input, workspace, launch_with_pdl, output, strategy)
    if len(input.shape) != 2:
        refuse("input.shape", tuple(input.shape), "[num_tokens, hidden_dim], two dimensions")
    if output is None:
        output = _tensors.empty(input, tuple(input.shape), _tensors.dtype_number(input.dtype, "input"), "output")
    launch_allreduce(input, workspace, launch_with_pdl, output, strategy)
    return output


def _fused_call(arrays: _Arrays, input: Any, residual_in: Any, gamma: Any, epsilon: float | None, output: Any,
                residual_out: Any, quant_out: Any, scale_out: Any, output_scale: Any, layout: int, quant: int,
                launch_with_pdl: bool, strategy: Any, weight_bias: float) -> Any:
    call = library().new(lib.FusedCall)
    call.input = arrays.tensor(input, "input")
    call.residual_in = arrays.tensor(residual_in, "residual_in")
    call.gamma = arrays.tensor(gamma, "gamma", matrix=False)
    call.output = arrays.tensor(output, "output", is_output=True)
    call.residual_out = arrays.tensor(residual_out, "residual_out", is_output=True)
    # NumPy and CuPy have no e4m3 of their own.
    e4m3 = lib.E4M3 if _tensors.framework(input) in ("numpy", "cupy") else None
    call.quant_out = arrays.tensor(quant_out, "quant_out", is_output=True,
                                   dtype=None if quant == MNNVLQuantType.NVFP4 else e4m3)
    if scale_out is not None:
        linear = quant == MNNVLQuantType.DYNAMIC_FP8 or layout == QuantizationSFLayout.LINEAR
        call.scale_out = arrays.tensor(scale_out, "scale_out", matrix=linear, is_output=True,
                                       dtype=None if quant == MNNVLQuantType.DYNAMIC_FP8 else e4m3)
    if output_scale is not None:
        if hasattr(output_scale, "shape") and arrays.simulated is None and hasattr(output_scale, "__dlpack__"):
            scale = arrays.tensor(output_scale, "output_scale", matrix=False)
            if scale.dtype != lib.F32 or scale.columns < 1:
                refuse("output_scale", f"{scale.columns} of {lib.DTYPE_NAMES[scale.dtype]}", "a float, or one float32 "
                       "on the GPU")
            call.output_scale_pointer = scale.data
        else:
            call.output_scale = float(output_scale)
    if epsilon is not None:
        if not epsilon >= 0:  # the library takes -1 for none given
            refuse("epsilon", epsilon, "0 and more")
        call.epsilon = epsilon
    call.quant, call.layout, call.strategy = quant, layout, _strategy(strategy).value
    call.launch_with_pdl, call.weight_bias = bool(launch_with_pdl), weight_bias
    return call


def launch_fused(input: Any, residual_in: Any, gamma: Any, workspace: MNNVLAllReduceFusionWorkspace,
                 epsilon: float | None, output: Any, residual_out: Any, quant_out: Any, scale_out: Any, output_scale: Any,
                 layout: int, quant: int, launch_with_pdl: bool, strategy: Any, weight_bias: float) -> None:
    """The fused call, with or without quantization, on outputs that are given."""
    options = (quant, layout, strategy, epsilon, weight_bias, launch_with_pdl, output_scale.__class__)
    if _launch_known(workspace.known_calls, options, input, residual_in, gamma, output, residual_out, quant_out,
                     scale_out, output_scale):
        return
    with _Arrays(workspace, input) as arrays:
        call = _fused_call(arrays, input, residual_in, gamma, epsilon, output, residual_out, quant_out, scale_out,
                           output_scale, layout, quant, launch_with_pdl, strategy, weight_bias)
        function = "fused_allreduce_add_rmsnorm" + ("_quant" if quant != MNNVLQuantType.NONE else "")
        arrays.run(getattr(library(), function), call)
    tensors = (input, residual_in, gamma, output, residual_out, quant_out, scale_out)
    if workspace.raw_stream is not None and can_be_known(tensors, output_scale, epsilon, weight_bias):
        workspace.known_calls.insert(0, KnownCall(workspace, call, tensors, output_scale, options))
        del workspace.known_calls[MOST:]


def _launch_known(known_calls: list[KnownCall], options: tuple[Any, ...], *arguments: Any) -> bool:
    """Whether the call was one that is known, and so was made."""
    for known in known_calls:
        if known.options == options:
            status = known.launch(*arguments)
            if status == 0:
                return True
            if status != NOT_KNOWN:
                library().raise_last(status)
    return False


def launch_allreduce(input: Any, workspace: MNNVLAllReduceFusionWorkspace, launch_with_pdl: bool, output: Any,
                     strategy: Any) -> None:
    with _Arrays(workspace, input) as arrays:
        call = library().new(lib.AllReduceCall)
        call.input = arrays.tensor(input, "input")
        call.output = arrays.tensor(output, "output", is_output=True)
        call.launch_with_pdl, call.strategy = bool(launch_with_pdl), _strategy(strategy).value
        arrays.run(library().allreduce, call)


def prepare(workspace: MNNVLAllReduceFusionWorkspace, num_tokens: int, hidden_dim: int, dtype: Any,
            quant_type: int = MNNVLQuantType.NONE, layout_code: int = QuantizationSFLayout.SWIZZLED_128x4,
            has_output: bool | None = None, gamma_dtype: Any = None, launch_with_pdl: bool = False,
            strategy: MNNVLAllreduceFusionStrategy = _AUTO) -> None:
    """Compiles and loads what calls of 1 to num_tokens tokens need, so that none is slow, and calls can be captured.

    By all ranks before the first call. has_output: whether the calls give `output` (default: only without
    quantization, which always does).
    """
    workspace.check_alive()
    kind = _tensors.dtype_number(dtype, "dtype")
    quant, layout = MNNVLQuantType(quant_type), QuantizationSFLayout(layout_code)
    somewhere = 16  # an address that is not followed

    def like(columns: int = hidden_dim, dtype: int = kind, count: int = num_tokens) -> lib.Tensor:
        return lib.Tensor(somewhere, count, columns, dtype)

    call = library().new(lib.FusedCall)
    call.input, call.residual_in, call.residual_out = like(), like(), like()
    call.gamma = like(count=1, dtype=kind if gamma_dtype is None else _tensors.dtype_number(gamma_dtype, "gamma"))
    if has_output if has_output is not None else quant is MNNVLQuantType.NONE:
        call.output = like()
    if quant is MNNVLQuantType.NVFP4:
        call.quant_out = like(hidden_dim // 2, lib.U8)
        linear = layout is QuantizationSFLayout.LINEAR
        call.scale_out = like(hidden_dim // 16 if linear else swizzled_scale_bytes(num_tokens, hidden_dim), lib.E4M3,
                              num_tokens if linear else 1)
    elif quant is not MNNVLQuantType.NONE:
        call.quant_out = like(dtype=lib.E4M3)
        if quant is MNNVLQuantType.DYNAMIC_FP8:
            call.scale_out = like(1, lib.F32)
    call.quant, call.layout, call.strategy = quant, layout, _strategy(strategy).value
    call.launch_with_pdl = bool(launch_with_pdl)
    library().prepare_fused(workspace.handle, c.byref(call))
