"""The names and numbers of the call: what a strategy, a quantization and a scale layout are."""

from enum import Enum, IntEnum


class MNNVLAllreduceFusionStrategy(Enum):
    """How the ranks exchange rows."""

    ONESHOT = 0  #: Every rank stores its row to every rank, and each sums for itself.
    TWOSHOT = 1  #: A row goes to its owner, which sums it and sends the sum to all.
    AUTO = 99  #: As the tuned table says, and where there is none, a cost model.


class MNNVLQuantType(IntEnum):
    """What the normalised rows are quantized to."""

    NONE = 0
    FP8 = 1  #: e4m3 with one scale for all, which the values are divided by.
    NVFP4 = 2  #: e2m1 in blocks of 16 with an e4m3 scale each, and a global scale that multiplies.
    DYNAMIC_FP8 = 3  #: e4m3 with a scale for each row, which the call finds.


class QuantizationSFLayout(IntEnum):
    """Where the scales of NVFP4 lie."""

    SWIZZLED_128x4 = 0  #: A 1-D buffer of `swizzled_scale_bytes(tokens, hidden_dim)`.
    SWIZZLED_8x4 = 1  #: Refused.
    LINEAR = 2  #: [tokens, hidden_dim // 16]
