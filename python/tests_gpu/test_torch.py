"""On GPUs, a process for each: torchrun --nproc-per-node 2 -m pytest python/tests_gpu

PyTorch tensors give the bytes of the contract's reference, in graphs, in compiled functions and eagerly.
"""

import itertools
import os
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ml_dtypes = pytest.importorskip("ml_dtypes")
if "RANK" not in os.environ or torch.cuda.device_count() < 2:
    pytest.skip("needs two GPUs, and torchrun", allow_module_level=True)

import reference  # noqa: E402
import torch.distributed as dist  # noqa: E402

import allnorm  # noqa: E402
from allnorm import MNNVLAllreduceFusionStrategy as Strategy  # noqa: E402
from allnorm import MNNVLQuantType as Quant  # noqa: E402
from allnorm import QuantizationSFLayout as Layout  # noqa: E402

fused_quant = allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant
CASES = 600
NUMPY = {torch.float32: np.float32, torch.float16: np.float16, torch.bfloat16: ml_dtypes.bfloat16}
EPSILON = 1e-5  # finfo of ml_dtypes' types is not NumPy's


@pytest.fixture(scope="module")
def place():
    rank = int(os.environ["LOCAL_RANK"])
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", device_id=torch.device("cuda", rank))
    ranks = dist.get_world_size()
    workspace = allnorm.MNNVLAllReduceFusionWorkspace(SimpleNamespace(tp_size=ranks, tp_rank=rank), 512, 8192,
                                                      torch.float32)
    yield SimpleNamespace(rank=rank, ranks=ranks, workspace=workspace, device=torch.device("cuda", rank))
    workspace.destroy()
    dist.destroy_process_group()


def to_torch(array, dtype, device):
    bytes_ = torch.from_numpy(np.ascontiguousarray(array).view(np.uint8).copy())
    return bytes_.to(device).view(dtype).reshape(array.shape)


def to_bytes(tensor):
    return tensor.contiguous().view(torch.uint8).cpu().numpy().tobytes()


class Case:
    def __init__(self, seed, place):
        random = np.random.default_rng(seed)
        pick = lambda choices: choices[random.integers(len(choices))]
        self.dtype = pick(list(NUMPY))
        self.quant = pick([Quant.FP8, Quant.NVFP4, Quant.DYNAMIC_FP8])
        self.layout = pick([Layout.LINEAR, Layout.SWIZZLED_128x4])
        self.strategy = pick(list(Strategy))
        self.tokens, hidden = int(pick([1, 2, 3, 7, 33])), int(pick([256, 2880, 4096]))
        self.scale = float(pick([1.0, 0.07, 3.0]))
        self.pdl, self.with_output = bool(random.integers(2)), bool(random.integers(2))
        rows = lambda: random.standard_normal((self.tokens, hidden)).astype(NUMPY[self.dtype])
        inputs, residual = [rows() for _ in range(place.ranks)], rows()
        gamma = random.standard_normal(hidden).astype(NUMPY[self.dtype])
        n, h = reference.norm(inputs, residual, gamma, epsilon=EPSILON)
        put = lambda array: to_torch(array, self.dtype, place.device)
        self.input, self.residual, self.gamma = put(inputs[place.rank]), put(residual), put(gamma)
        self.residual_bytes, self.output_bytes = h.tobytes(), n.tobytes()
        self.scale_bytes = None
        if self.quant is Quant.FP8:
            self.code_bytes = reference.fp8(n, self.scale).tobytes()
        elif self.quant is Quant.DYNAMIC_FP8:
            codes, scales = reference.dynamic_fp8(n)
            self.code_bytes, self.scale_bytes = codes.tobytes(), scales.astype(np.float32).tobytes()
        else:
            codes, scales = reference.nvfp4(n, self.scale)
            self.code_bytes = codes.tobytes()
            if self.layout is Layout.LINEAR:
                self.scale_bytes = scales.tobytes()
            else:
                zeros = np.zeros(allnorm.swizzled_scale_bytes(self.tokens, hidden), np.uint8)
                self.scale_bytes = reference.swizzled(scales, zeros).tobytes()

    def outputs(self):
        """Given ones, so that what is not written is known."""
        given = {}
        if self.quant is Quant.NVFP4 and self.layout is Layout.SWIZZLED_128x4:
            size = allnorm.swizzled_scale_bytes(*self.input.shape)
            given["scale_out"] = torch.zeros(size, dtype=torch.uint8, device=self.input.device).view(torch.float8_e4m3fn)
        if self.with_output:
            given["output"] = torch.full_like(self.input, float("nan"))
        return given

    def call(self, workspace, scale=None, **given):
        return fused_quant(self.input, self.residual, self.gamma, workspace, EPSILON, quant_type=self.quant,
                           layout_code=self.layout, output_scale=self.scale if scale is None else scale,
                           launch_with_pdl=self.pdl, strategy=self.strategy, **given)

    def check(self, results):
        quant_out, scale_out, residual_out, output = results
        assert to_bytes(quant_out) == self.code_bytes
        assert to_bytes(residual_out) == self.residual_bytes
        if self.scale_bytes is not None:
            assert to_bytes(scale_out) == self.scale_bytes
        if self.with_output:
            assert to_bytes(output) == self.output_bytes


def test_calls_have_the_bytes_of_the_reference(place):
    for seed in range(CASES):
        case = Case(seed, place)
        results = case.call(place.workspace, **case.outputs())
        place.workspace.synchronize()
        case.check(results)


def test_a_scale_on_the_gpu_and_other_types_of_codes(place):
    for seed, kind in itertools.product(range(20), ("uint8", "float4_e2m1fn_x2")):
        case = Case(seed, place)
        scale = torch.tensor([case.scale], device=place.device)
        given = case.outputs()
        if case.quant is Quant.NVFP4:
            tokens, hidden = case.input.shape
            given["quant_out"] = torch.empty(tokens, hidden // 2, dtype=torch.uint8, device=place.device).view(
                getattr(torch, kind))
        results = case.call(place.workspace, scale, **given)
        place.workspace.synchronize()
        case.check((results[0].view(torch.uint8), *results[1:]))


def test_graphs_replay_with_a_float_scale(place):
    for seed in range(12):
        case = Case(seed, place)
        given = case.outputs()
        case.call(place.workspace, **given)  # compiles
        place.workspace.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            results = [case.call(place.workspace, **given) for _ in range(3)]
        for _ in range(3):
            for tensors in results:
                tensors[0].view(torch.uint8).fill_(0x5A)
                tensors[2].view(torch.uint8).fill_(0x5A)
            dist.barrier()
            graph.replay()
            place.workspace.synchronize()
            for tensors in results:
                case.check(tensors)


def test_a_compiled_function_holds_the_call_whole(place):
    for seed in range(8):
        torch._dynamo.reset()
        case = Case(seed, place)

        def step(x, residual, workspace):
            results = fused_quant(x * 1.0, residual, case.gamma, workspace, EPSILON, quant_type=case.quant,
                                  layout_code=case.layout, output_scale=case.scale, strategy=case.strategy)
            return results[0].view(torch.uint8), results[2]

        codes, residual_out = torch.compile(step, fullgraph=True)(case.input, case.residual, place.workspace)
        place.workspace.synchronize()
        assert to_bytes(codes) == case.code_bytes
        assert to_bytes(residual_out) == case.residual_bytes


def test_arrays_of_cupy_by_dlpack(place):
    cupy = pytest.importorskip("cupy")
    case = Case(3, place)
    while case.dtype is torch.bfloat16 or case.quant is not Quant.FP8:
        case = Case(np.random.default_rng(case.tokens).integers(1 << 30), place)
    with cupy.cuda.Device(place.rank):
        arrays = [cupy.from_dlpack(t) for t in (case.input, case.residual, case.gamma)]
        codes, _, residual_out, _ = fused_quant(*arrays, place.workspace, EPSILON, quant_type=Quant.FP8,
                                                output_scale=case.scale)
        cupy.cuda.Device(place.rank).synchronize()
        assert cupy.asnumpy(codes).tobytes() == case.code_bytes
        assert cupy.asnumpy(residual_out).tobytes() == case.residual_bytes


def test_wrong_tensors_are_refused_before_anything_is_launched(place):
    x = torch.zeros(2, 64, dtype=torch.bfloat16, device=place.device)
    gamma = torch.ones(64, dtype=torch.bfloat16, device=place.device)
    for words, arguments in (("input.strides", (x.t(), x, gamma)), ("input.device", (x.cpu(), x, gamma)),
                             ("gamma", (x, x.clone(), gamma[:-1])), ("residual_in", (x, x.half(), gamma))):
        with pytest.raises(ValueError, match=words):
            fused_quant(*arguments, place.workspace, quant_type=Quant.FP8)
    assert place.workspace.status().healthy
