"""The calls as PyTorch operators, which torch.compile takes into its graphs whole (fullgraph=True).

An operator writes outputs that are given, and says so; a workspace goes by its number. Functions with the names of the
calls' kinds are what torch.compile traces: they hold nothing but tensors, numbers and operators.
"""

from __future__ import annotations

import sys
from typing import Any, Optional

import torch

from . import calls
from .enums import MNNVLAllreduceFusionStrategy, MNNVLQuantType, QuantizationSFLayout
from .workspace import workspaces

is_compiling = torch.compiler.is_compiling


def _stream_address(device: int) -> int:
    return torch.cuda.current_stream(device).cuda_stream


#: Without the Stream object, where this PyTorch has it.
raw_stream = getattr(torch._C, "_cuda_getCurrentRawStream", _stream_address)


#: Not torch.library.custom_op, whose wrappers take 20 us of the host's time in each call.
_library = torch.library.Library("allnorm", "DEF")


def _operator(schema: str) -> Any:
    """Makes the function an operator, for tensors of all devices; in graphs it does nothing but look at its input."""
    name = schema.partition("(")[0]

    def check_shape(input: torch.Tensor, *rest: Any) -> None:
        torch._check(input.dim() == 2, lambda: "input: two dimensions are allowed")

    def register(function: Any) -> Any:
        _library.define(schema, tags=torch.Tag.pt2_compliant_tag)
        _library.impl(name, function, "CompositeExplicitAutograd")
        torch.library.register_fake(f"allnorm::{name}", check_shape, lib=_library)
        return function

    return register


def _written(*outputs: Optional[torch.Tensor]) -> None:
    """Autograd refuses to use what it has saved of tensors that were written since."""
    if torch.is_grad_enabled():
        torch.autograd.graph.increment_version([output for output in outputs if output is not None])


@_operator("fused_allreduce_add_rmsnorm(Tensor input, Tensor residual_in, Tensor gamma, SymInt workspace, "
           "float? epsilon, Tensor(a!)? output, Tensor(b!) residual_out, Tensor(c!)? quant_out, "
           "Tensor(d!)? scale_out, Tensor? scale_tensor, float scale, SymInt layout, SymInt quant, "
           "bool launch_with_pdl, SymInt strategy, float weight_bias) -> ()")
def fused_operator(input: torch.Tensor, residual_in: torch.Tensor, gamma: torch.Tensor, workspace: int,
                   epsilon: Optional[float], output: Optional[torch.Tensor], residual_out: torch.Tensor,
                   quant_out: Optional[torch.Tensor], scale_out: Optional[torch.Tensor],
                   scale_tensor: Optional[torch.Tensor], scale: float, layout: int, quant: int, launch_with_pdl: bool,
                   strategy: int, weight_bias: float) -> None:
    calls.launch_fused(input, residual_in, gamma, workspaces[workspace], epsilon, output, residual_out, quant_out,
                       scale_out, scale if scale_tensor is None else scale_tensor, layout, quant, launch_with_pdl,
                       strategy, weight_bias)
    _written(output, residual_out, quant_out, scale_out)


@_operator("allreduce(Tensor input, SymInt workspace, bool launch_with_pdl, Tensor(a!) output, SymInt strategy) -> ()")
def allreduce_operator(input: torch.Tensor, workspace: int, launch_with_pdl: bool, output: torch.Tensor,
                       strategy: int) -> None:
    calls.launch_allreduce(input, workspaces[workspace], launch_with_pdl, output, strategy)
    _written(output)


def _number(strategy: Any) -> int:
    return strategy.value if isinstance(strategy, MNNVLAllreduceFusionStrategy) else int(strategy)


def fused_quant(input: Any, residual_in: Any, gamma: Any, workspace: Any, epsilon: Any, output: Any, residual_out: Any,
                quant_out: Any, scale_out: Any, output_scale: Any, layout_code: int, quant_type: int,
                launch_with_pdl: bool, strategy: Any, weight_bias: float) -> tuple[Any, Any, Any, Any]:
    tokens, hidden = input.shape
    nvfp4, dynamic = quant_type == MNNVLQuantType.NVFP4, quant_type == MNNVLQuantType.DYNAMIC_FP8
    if residual_out is None:
        residual_out = torch.empty_like(input)
    if quant_out is None and nvfp4:
        quant_out = input.new_empty((tokens, hidden // 2), dtype=torch.uint8)
    elif quant_out is None:
        quant_out = torch.empty_like(input, dtype=torch.float8_e4m3fn)
    if dynamic and scale_out is None:
        scale_out = input.new_empty((tokens, 1), dtype=torch.float32)
    elif nvfp4 and scale_out is None and layout_code == QuantizationSFLayout.LINEAR:
        scale_out = input.new_empty((tokens, hidden // 16), dtype=torch.float8_e4m3fn)
    elif nvfp4 and scale_out is None:
        scale_out = input.new_empty((calls.swizzled_scale_bytes(tokens, hidden),), dtype=torch.float8_e4m3fn)
    elif not dynamic and not nvfp4:
        scale_out = None
    is_tensor = isinstance(output_scale, torch.Tensor)
    torch.ops.allnorm.fused_allreduce_add_rmsnorm(
        input, residual_in, gamma, workspace.number, epsilon, output, residual_out, quant_out, scale_out,
        output_scale if is_tensor else None, 1.0 if is_tensor or output_scale is None else float(output_scale),
        int(layout_code), int(quant_type), bool(launch_with_pdl), _number(strategy), float(weight_bias))
    return quant_out, scale_out, residual_out, output


def fused(input: Any, residual_in: Any, gamma: Any, workspace: Any, epsilon: Any, output: Any, residual_out: Any,
          launch_with_pdl: bool, strategy: Any, weight_bias: float) -> tuple[Any, Any]:
    output = torch.empty_like(input) if output is None else output
    residual_out = torch.empty_like(input) if residual_out is None else residual_out
    torch.ops.allnorm.fused_allreduce_add_rmsnorm(
        input, residual_in, gamma, workspace.number, epsilon, output, residual_out, None, None, None, 1.0, 0, 0,
        bool(launch_with_pdl), _number(strategy), float(weight_bias))
    return output, residual_out


def allreduce(input: Any, workspace: Any, launch_with_pdl: bool, output: Any, strategy: Any) -> Any:
    output = torch.empty_like(input) if output is None else output
    torch.ops.allnorm.allreduce(input, workspace.number, bool(launch_with_pdl), output, _number(strategy))
    return output


calls._in_graph = sys.modules[__name__]
