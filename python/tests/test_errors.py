"""Wrong arguments: ValueError that names the argument, what was given and what is allowed; nothing runs."""

from types import SimpleNamespace

import numpy as np
import pytest

import allnorm
from allnorm import MNNVLAllReduceFusionWorkspace as Workspace
from allnorm import MNNVLQuantType as Quant
from allnorm import QuantizationSFLayout as Layout

fused = allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm
fused_quant = allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant
X = np.zeros((2, 64), np.float16)
G = np.ones(64, np.float16)
FP8 = {"quant_type": Quant.FP8}
NVFP4 = {"quant_type": Quant.NVFP4, "layout_code": Layout.LINEAR}


def zeros(*shape, dtype=np.float16):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("words, arguments, options", [
    ("input.shape", (zeros(64), X, G), FP8),
    ("input.strides", (zeros(2, 128)[:, ::2], X, G), FP8),
    ("input.dtype", (zeros(2, 64, dtype=np.int32), X, G), {**FP8, "residual_out": X.copy()}),
    ("input", (zeros(9, 64), zeros(9, 64), G), FP8),
    ("residual_in", (X, zeros(3, 64), G), FP8),
    ("residual_in", (X, zeros(2, 64, dtype=np.float32), G), FP8),
    ("residual_in.shape", (X, zeros(64), G), FP8),
    ("gamma", (X, X.copy(), zeros(63)), FP8),
    ("output", (X, X.copy(), G), {**FP8, "output": zeros(2, 32)}),
    ("residual_out", (X, X.copy(), G), {**FP8, "residual_out": zeros(3, 64)}),
    ("quant_out", (X, X.copy(), G), {**FP8, "quant_out": zeros(2, 32, dtype=np.uint8)}),
    ("quant_out", (X, X.copy(), G), {**FP8, "quant_out": zeros(2, 64)}),
    ("quant_out", (X, X.copy(), G), {**NVFP4, "quant_out": zeros(2, 64, dtype=np.uint8)}),
    ("scale_out", (X, X.copy(), G), {**NVFP4, "scale_out": zeros(2, 4)}),
    ("scale_out", (X, X.copy(), G), {**NVFP4, "scale_out": zeros(2, 5, dtype=np.uint8)}),
    ("scale_out", (X, X.copy(), G), {"quant_type": Quant.NVFP4, "scale_out": zeros(16, dtype=np.uint8)}),
    ("scale_out", (X, X.copy(), G), {"quant_type": Quant.DYNAMIC_FP8, "scale_out": zeros(3, 1, dtype=np.float32)}),
    ("layout_code", (X, X.copy(), G), {"quant_type": Quant.NVFP4, "layout_code": Layout.SWIZZLED_8x4}),
    ("quant_type", (X, X.copy(), G), {}),
    ("quant_type", (X, X.copy(), G), {"quant_type": 7}),
    ("strategy", (X, X.copy(), G), {**FP8, "strategy": 5}),
    ("epsilon", (X, X.copy(), G), {**FP8, "epsilon": -0.5}),
    ("input", ("rows", X, G), FP8),
])
def test_the_call_names_what_is_wrong(make_world, words, arguments, options):
    world = make_world(2)
    if isinstance(arguments[0], str):
        with pytest.raises((ValueError, AttributeError)):
            fused_quant(arguments[0], *arguments[1:], world.workspaces[0], **options)
        return
    with pytest.raises(ValueError) as caught:
        fused_quant(*arguments, world.workspaces[0], **options)
    assert words in str(caught.value)
    assert len(str(caught.value)) > len(words) + 20
    # Nothing was noted: the world goes on.
    inputs = world.inputs(2)
    sums = world.call(lambda r, w: allnorm.trtllm_mnnvl_allreduce(inputs[r], w, False))
    assert (sums[0] == inputs[0] + inputs[1]).all()


def test_overlap_is_refused(make_world):
    world = make_world(2)
    with pytest.raises(ValueError, match="residual_out"):
        fused(X, zeros(2, 64), G, world.workspaces[0], residual_out=X)
    rows = zeros(3, 64)
    for output, other in ((rows[1:], rows[:2]), (rows[:2], rows[1:]), (rows, rows[:2])):
        with pytest.raises(ValueError, match="residual_out: memory that overlaps residual_in's given"):
            fused(X, other, G, world.workspaces[0], residual_out=output)
    with pytest.raises(ValueError, match="residual_out: memory that overlaps output's given"):
        fused(X, X.copy(), G, world.workspaces[0], output=rows[:2], residual_out=rows[1:])


def test_inputs_may_overlap_and_the_residual_be_replaced(make_world):
    world = make_world(2)
    rows = [np.random.default_rng(rank).standard_normal((3, 64)).astype(np.float16) for rank in range(2)]
    for r in rows:
        r[1:] = rows[0][1:]  # the residual, which all ranks have alike
    apart = world.call(lambda r, w: fused(rows[r][:2].copy(), rows[r][1:].copy(), rows[0][2].copy(), w))
    overlapping = world.call(lambda r, w: fused(rows[r][:2], rows[r][1:], rows[r][2], w))
    for one, other in zip(apart, overlapping):
        assert all(a.tobytes() == b.tobytes() for a, b in zip(one, other))
    residuals = [rows[r][1:].copy() for r in range(2)]
    world.call(lambda r, w: fused(rows[r][:2], residuals[r], rows[0][2], w, residual_out=residuals[r]))
    for (_, residual_out), residual in zip(apart, residuals):
        assert residual_out.tobytes() == residual.tobytes()


@pytest.mark.parametrize("words, arguments", [
    ("mapping.tp_size", (SimpleNamespace(tp_size=0, tp_rank=0), 8, 64, np.float16)),
    ("mapping.tp_rank", (SimpleNamespace(tp_size=2, tp_rank=2), 8, 64, np.float16)),
    ("max_num_tokens", (SimpleNamespace(tp_size=2, tp_rank=0), None, 64, np.float16)),
    ("max_num_tokens", (SimpleNamespace(tp_size=2, tp_rank=0), -1, 64, np.float16)),
    ("hidden_dim", (SimpleNamespace(tp_size=2, tp_rank=0), 8, None, np.float16)),
    ("hidden_dim", (SimpleNamespace(tp_size=2, tp_rank=0), 8, 2.5, np.float16)),
    ("dtype", (SimpleNamespace(tp_size=2, tp_rank=0), 8, 64, np.int64)),
    ("tp_size", (SimpleNamespace(tp_size=3, tp_rank=0), 8, 64, np.float16)),
    ("buffer_size_in_bytes", (SimpleNamespace(tp_size=2, tp_rank=0), None, 64, np.float16, 100)),
])
def test_the_workspace_names_what_is_wrong(words, arguments):
    with pytest.raises(ValueError, match=words):
        Workspace(*arguments[:4], *(arguments[4:] or (None,)), allnorm.SimulatedRanks(2))


def test_ranks_of_a_simulated_world_agree_on_its_size(make_world):
    world = make_world(2)
    with pytest.raises(ValueError, match="capacity"):
        world.workspace(0, 9)


def test_a_group_must_be_one(monkeypatch):
    mapping = SimpleNamespace(tp_size=2, tp_rank=0)
    with pytest.raises(ValueError, match="comm_backend"):
        allnorm.groups.make_group(object(), 0, 2)
    other = SimpleNamespace(Get_rank=lambda: 1, Get_size=lambda: 2, allgather=lambda data: [data] * 2)
    with pytest.raises(ValueError, match="rank 1 of 2"):
        allnorm.groups.make_group(other, mapping.tp_rank, mapping.tp_size)
    with pytest.raises(ValueError, match="world_size"):
        allnorm.SimulatedRanks(0)


def test_a_peer_that_does_not_call_is_named(make_world):
    world = make_world(2)
    allnorm.trtllm_mnnvl_allreduce(X, world.workspaces[0], False)
    with pytest.raises(allnorm.AllNormError, match="gave up waiting for rank 1") as caught:
        world.backend.synchronize()
    assert caught.value.code == "timeout"
    assert not isinstance(caught.value, ValueError)
    status = world.workspaces[0].status()
    assert not status.healthy and status.waited_for == 1 and status.phase == "one-shot"
    world.workspaces[0].reset()
    assert world.workspaces[0].status().healthy
    inputs = world.inputs(2)
    sums = world.call(lambda r, w: allnorm.trtllm_mnnvl_allreduce(inputs[r], w, False))
    assert (sums[1] == inputs[0] + inputs[1]).all()


def test_a_destroyed_workspace_is_refused(make_world):
    world = make_world(2)
    world.workspaces[1].destroy()
    world.workspaces[1].destroy()
    with pytest.raises(ValueError, match="destroyed"):
        allnorm.trtllm_mnnvl_allreduce(X, world.workspaces[1], False)
