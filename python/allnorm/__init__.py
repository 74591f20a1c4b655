"""AllNorm: AllReduce, residual add, RMSNorm and FP8 or NVFP4 quantization in one GPU kernel.

The calls have the names and the semantics of FlashInfer's; docs/python.md says what differs.
"""

from .calls import (
    prepare,
    swizzled_scale_bytes,
    trtllm_mnnvl_allreduce,
    trtllm_mnnvl_fused_allreduce_add_rmsnorm,
    trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant,
)
from .enums import MNNVLAllreduceFusionStrategy, MNNVLQuantType, QuantizationSFLayout
from .errors import AllNormError, ArgumentError
from .groups import SimulatedRanks
from .workspace import MNNVLAllReduceFusionWorkspace, Status

__all__ = [
    "AllNormError",
    "ArgumentError",
    "MNNVLAllReduceFusionWorkspace",
    "MNNVLAllreduceFusionStrategy",
    "MNNVLQuantType",
    "QuantizationSFLayout",
    "SimulatedRanks",
    "Status",
    "prepare",
    "swizzled_scale_bytes",
    "trtllm_mnnvl_allreduce",
    "trtllm_mnnvl_fused_allreduce_add_rmsnorm",
    "trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from ._library import library

        return library().version
    raise AttributeError(name)
