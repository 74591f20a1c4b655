"""The three calls on NumPy and the simulator, against a NumPy reference, byte by byte."""

import numpy as np
import pytest
import reference

import allnorm
from allnorm import MNNVLAllreduceFusionStrategy as Strategy
from allnorm import MNNVLQuantType as Quant
from allnorm import QuantizationSFLayout as Layout

fused = allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm
fused_quant = allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant
RANKS = (2, 3, 4)


def same(a, b):
    return a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("strategy", [Strategy.ONESHOT, Strategy.TWOSHOT, Strategy.AUTO])
def test_all_reduce_gives_the_sum_in_rank_order(make_world, ranks, strategy):
    world = make_world(ranks)
    inputs = world.inputs(5)
    for output in world.call(lambda r, w: allnorm.trtllm_mnnvl_allreduce(inputs[r], w, False, strategy=strategy)):
        assert same(output, reference.all_reduce(inputs))


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_norm_and_the_residual_are_those_of_the_contract(make_world, ranks, dtype):
    world = make_world(ranks, dtype=dtype)
    inputs, residual, gamma = world.inputs(3), world.rows(3), world.gamma()
    expected = reference.norm(inputs, residual, gamma, weight_bias=1.0)
    for output, residual_out in world.call(lambda r, w: fused(inputs[r], residual, gamma, w, weight_bias=1.0)):
        assert same(output, expected[0])
        assert same(residual_out, expected[1])


def test_epsilon_gamma_of_another_type_and_given_outputs(make_world):
    world = make_world(2)
    inputs, residual, gamma = world.inputs(4), world.rows(4), world.gamma(np.float32)
    expected = reference.norm(inputs, residual, gamma, epsilon=0.5)
    outputs = [(np.zeros_like(residual), np.zeros_like(residual)) for _ in range(2)]
    results = world.call(lambda r, w: fused(inputs[r], residual, gamma, w, 0.5, *outputs[r]))
    for given, result in zip(outputs, results):
        assert given[0] is result[0] and given[1] is result[1]
        assert same(given[0], expected[0]) and same(given[1], expected[1])


def test_residual_in_place(make_world):
    world = make_world(2)
    inputs, residual, gamma = world.inputs(2), world.rows(2), world.gamma()
    expected = reference.norm(inputs, residual, gamma)
    mine = [residual.copy() for _ in range(2)]
    world.call(lambda r, w: fused(inputs[r], mine[r], gamma, w, residual_out=mine[r]))
    assert same(mine[0], expected[1]) and same(mine[1], expected[1])


@pytest.mark.parametrize("ranks", RANKS)
def test_static_fp8_divides_by_the_scale(make_world, ranks):
    world = make_world(ranks)
    inputs, residual, gamma = world.inputs(3), world.rows(3), world.gamma()
    n, h = reference.norm(inputs, residual, gamma)
    for result in world.call(lambda r, w: fused_quant(inputs[r], residual, gamma, w, quant_type=Quant.FP8,
                                                      output_scale=0.3)):
        quant_out, scale_out, residual_out, output = result
        assert scale_out is None and output is None
        assert same(quant_out, reference.fp8(n, 0.3))
        assert same(residual_out, h)


def test_dynamic_fp8_finds_a_scale_for_each_row(make_world):
    world = make_world(2)
    inputs, residual, gamma = world.inputs(3), world.rows(3), world.gamma()
    n, _ = reference.norm(inputs, residual, gamma)
    codes, scales = reference.dynamic_fp8(n)
    output = [np.empty_like(residual) for _ in range(2)]
    for rank, result in enumerate(world.call(lambda r, w: fused_quant(
            inputs[r], residual, gamma, w, output=output[r], quant_type=Quant.DYNAMIC_FP8))):
        assert same(result[0], codes)
        assert same(result[1], scales.astype(np.float32))
        assert result[3] is output[rank] and same(output[rank], n)


@pytest.mark.parametrize("layout", [Layout.LINEAR, Layout.SWIZZLED_128x4])
def test_nvfp4_in_both_layouts(make_world, layout):
    world = make_world(3, hidden=96)
    inputs, residual, gamma = world.inputs(3), world.rows(3), world.gamma()
    n, _ = reference.norm(inputs, residual, gamma)
    codes, scales = reference.nvfp4(n, 2.0)
    poison = np.full(allnorm.swizzled_scale_bytes(3, 96), 0xA5, np.uint8)
    given = [np.full_like(scales, 0xA5) if layout is Layout.LINEAR else poison.copy() for _ in range(3)]
    wanted = scales if layout is Layout.LINEAR else reference.swizzled(scales, poison)
    for result in world.call(lambda r, w: fused_quant(inputs[r], residual, gamma, w, scale_out=given[r],
                                                      output_scale=2.0, layout_code=layout, quant_type=Quant.NVFP4)):
        assert same(result[0], codes)
        written = wanted != 0xA5
        assert same(result[1][written], wanted[written])


def test_numbers_do_for_enums_and_calls_may_change_from_one_to_the_next(make_world):
    world = make_world(2)
    for tokens, strategy in ((1, 0), (8, 1), (2, 99), (3, 0)):
        inputs, residual, gamma = world.inputs(tokens), world.rows(tokens), world.gamma()
        n, _ = reference.norm(inputs, residual, gamma)
        for result in world.call(lambda r, w: fused_quant(inputs[r], residual, gamma, w, quant_type=1, layout_code=2,
                                                          strategy=Strategy(strategy))):
            assert same(result[0], reference.fp8(n))


def test_prepare_compiles_what_calls_need(make_world):
    world = make_world(2)
    for workspace in world.workspaces:
        allnorm.prepare(workspace, 4, 64, np.float16, Quant.NVFP4, Layout.LINEAR)
        allnorm.prepare(workspace, 4, 64, np.float16)


def test_no_tokens_change_nothing(make_world):
    world = make_world(2)
    inputs, residual, gamma = world.inputs(0), world.rows(0), world.gamma()
    for output, _ in world.call(lambda r, w: fused(inputs[r], residual, gamma, w)):
        assert output.shape == (0, 64)
