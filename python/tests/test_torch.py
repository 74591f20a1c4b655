"""The operators, for PyTorch tensors of the host on the simulator."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import allnorm  # noqa: E402
from allnorm import MNNVLQuantType as Quant  # noqa: E402
from allnorm import _tensors  # noqa: E402

EPSILON, SCALE = 1e-5, 0.5


class Case:
    """A rank alone."""

    def __init__(self, make_world):
        self.world = make_world(1)
        self.workspace = self.world.workspaces[0]
        self.arrays = self.world.rows(3), self.world.rows(3), self.world.gamma()
        self.input, self.residual, self.gamma = (torch.from_numpy(array) for array in self.arrays)

    def check(self, codes, residual_out):
        """Against the call of NumPy's arrays."""
        wanted = allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant(
            *self.arrays, self.workspace, EPSILON, quant_type=Quant.FP8, output_scale=SCALE)
        self.world.backend.synchronize()
        np.testing.assert_array_equal(codes.view(torch.uint8).numpy(), wanted[0].view(np.uint8))
        np.testing.assert_array_equal(residual_out.numpy(), wanted[2])


def test_a_tensor_of_another_packages_class_is_pytorchs():
    kind = type("Parameter", (torch.nn.Parameter,), {"__module__": "elsewhere.parameter"})
    assert _tensors.framework(kind(torch.zeros(2))) == "torch"


@pytest.fixture
def case(make_world):
    return Case(make_world)


def test_the_fused_operator_writes_its_outputs_and_says_so(case):
    residual_out, codes = torch.empty_like(case.input), torch.empty_like(case.input, dtype=torch.float8_e4m3fn)
    tensors = residual_out, codes, case.input
    before = [tensor._version for tensor in tensors]
    torch.ops.allnorm.fused_allreduce_add_rmsnorm(
        case.input, case.residual, case.gamma, case.workspace.number, EPSILON, None, residual_out, codes, None, None,
        SCALE, 0, int(Quant.FP8), False, 99, 0.0)
    case.world.backend.synchronize()
    case.check(codes, residual_out)
    assert [tensor._version - version for tensor, version in zip(tensors, before)] == [1, 1, 0]


def test_the_all_reduce_operator(case):
    output = torch.empty_like(case.input)
    with torch.inference_mode():
        torch.ops.allnorm.allreduce(case.input, case.workspace.number, False, output, 99)
    case.world.backend.synchronize()
    assert torch.equal(output, case.input)


def test_an_operator_refuses_what_the_call_refuses(case):
    residual_out, codes = torch.empty_like(case.input), torch.empty_like(case.input, dtype=torch.uint8)
    with pytest.raises(ValueError, match="quant_out"):
        torch.ops.allnorm.fused_allreduce_add_rmsnorm(
            case.input, case.residual, case.gamma, case.workspace.number, EPSILON, None, residual_out, codes, None, None,
            SCALE, 0, int(Quant.FP8), False, 99, 0.0)


def test_a_compiled_function_holds_the_calls_whole(case):
    def step(x, residual, workspace):
        codes, _, residual_out, _ = allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant(
            x * 1.0, residual, case.gamma, workspace, EPSILON, quant_type=Quant.FP8, output_scale=SCALE)
        return codes.view(torch.uint8), residual_out, allnorm.trtllm_mnnvl_allreduce(x + 1.0, workspace, False)

    graphs = []

    def count(graph, inputs):
        graphs.append([str(node.target) for node in graph.graph.nodes])
        return graph

    compiled = torch.compile(step, fullgraph=True, backend=count)
    codes, residual_out, total = compiled(case.input, case.residual, case.workspace)
    case.world.backend.synchronize()
    case.check(codes, residual_out)
    assert torch.equal(total, case.input + 1.0)
    assert len(graphs) == 1
    assert {"allnorm.fused_allreduce_add_rmsnorm", "allnorm.allreduce"} <= set(graphs[0])


def test_the_operators_are_what_pytorch_asks_of_one(case):
    residual_out, codes = torch.empty_like(case.input), torch.empty_like(case.input, dtype=torch.float8_e4m3fn)
    arguments = (case.input, case.residual, case.gamma, case.workspace.number, EPSILON, None, residual_out, codes, None,
                 None, SCALE, 0, int(Quant.FP8), False, 99, 0.0)
    torch.library.opcheck(torch.ops.allnorm.fused_allreduce_add_rmsnorm.default, arguments,
                          test_utils=("test_autograd_registration", "test_faketensor"))
