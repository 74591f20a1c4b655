"""The numerics contract (docs/design.md, section 3) in NumPy, for tests: float32, each operation rounded once."""

import numpy as np

F = np.float32


def all_reduce(inputs):
    total = np.zeros(inputs[0].shape, F)
    for x in inputs:
        total = total + x.astype(F)
    return total.astype(inputs[0].dtype)


def _fold(values):
    """The xor butterfly 16, 8, 4, 2, 1 over the last axis, of 32."""
    for width in (16, 8, 4, 2, 1):
        values = values[..., :width] + values[..., width : 2 * width]
    return values[..., 0]


def _sum_of_squares(h):
    elements = 16 // h.dtype.itemsize
    vectors = h.astype(F).reshape(h.shape[0], -1, elements)
    squares = np.zeros(vectors.shape[:2], F)
    for j in range(elements):  # fma: one rounding, as the product is exact in float64
        v = vectors[:, :, j].astype(np.float64)
        squares = (v * v + squares.astype(np.float64)).astype(F)
    chunks = -(-squares.shape[1] // 32)
    padded = np.zeros((h.shape[0], chunks * 32), F)
    padded[:, : squares.shape[1]] = squares
    sums = _fold(padded.reshape(h.shape[0], chunks, 32))
    lanes = np.zeros((h.shape[0], 32), F)
    for chunk in range(chunks):
        lanes[:, chunk % 32] = lanes[:, chunk % 32] + sums[:, chunk]
    return _fold(lanes)


def norm(inputs, residual, gamma, epsilon=None, weight_bias=0.0):
    """output, residual_out"""
    dtype = residual.dtype
    h = (all_reduce(inputs).astype(F) + residual.astype(F)).astype(dtype)
    mean = _sum_of_squares(h) / F(h.shape[1])
    # Correctly rounded: float64 has more than twice the bits, and no case of the tests lies so near to a midpoint.
    r = (1.0 / np.sqrt((mean + F(np.finfo(dtype).eps if epsilon is None else epsilon)).astype(np.float64))).astype(F)
    n = (h.astype(F) * r[:, None]) * (gamma.astype(F) + F(weight_bias))
    return n.astype(dtype), h


def e4m3(values):
    """Codes, rounded to nearest even, saturating at 448."""
    v = np.asarray(values, F)
    magnitude = np.minimum(np.abs(v), F(448)).astype(np.float64)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 2.0**-20))), -6)
    steps = np.rint(magnitude / 2.0 ** (exponent - 3))  # 8 to 16 of them; below 2^-6: 0 to 8
    code = np.where(steps < 8, steps, (exponent + 7) * 8 + steps - 8)
    return (code + np.where(np.signbit(v), 128, 0)).astype(np.uint8)


def e4m3_value(codes):
    codes = np.asarray(codes, np.int64)
    exponent, mantissa = codes >> 3 & 15, codes & 7
    return np.where(exponent == 0, mantissa * 2.0**-9, (1 + mantissa / 8) * 2.0 ** (exponent - 7)).astype(F)


def fp8(n, output_scale=1.0):
    return e4m3(n.astype(F) * (F(1) / F(output_scale)))


def dynamic_fp8(n):
    """Codes, scales"""
    scale = np.maximum(np.abs(n.astype(F)).max(axis=1, keepdims=True) / F(448), F(1 / (512 * 448)))
    return e4m3(n.astype(F) * (F(1) / scale)), scale


def nvfp4(n, output_scale=1.0):
    """Packed codes, scale codes [tokens, hidden / 16]"""
    blocks = n.astype(F).reshape(n.shape[0], -1, 16)
    scales = e4m3(F(output_scale) * (np.abs(blocks).max(axis=2) * F(1 / 6)))
    decoded = e4m3_value(scales)
    with np.errstate(divide="ignore"):
        multiplier = np.where(decoded == 0, F(0), F(output_scale) / decoded).astype(F)
    scaled = (blocks * multiplier[:, :, None]).reshape(n.shape)
    midpoints = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0], F)
    magnitude = np.abs(scaled)
    below = np.searchsorted(midpoints, magnitude, side="left")  # a midpoint goes down ...
    at = np.isin(magnitude, midpoints) & (below % 2 == 1)  # ... unless the code below it is odd
    codes = (below + at + np.where(np.signbit(scaled), 8, 0)).astype(np.uint8)
    return codes[:, ::2] | codes[:, 1::2] << 4, scales


def swizzled(scales, buffer):
    """The scales as layout SWIZZLED_128x4 has them; what is between keeps the buffer's bytes."""
    out = buffer.copy()
    tokens, blocks = scales.shape
    columns = -(-blocks // 4)
    for m in range(tokens):
        for k in range(blocks):
            out[m // 128 * columns * 512 + k // 4 * 512 + m % 32 * 16 + m % 128 // 32 * 4 + k % 4] = scales[m, k]
    return out
