"""Capacity, suspend and resume, DLPack, the command, and that nothing heavy is imported."""

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import numpy as np

import allnorm
from allnorm import MNNVLAllreduceFusionStrategy as Strategy
from allnorm import MNNVLAllReduceFusionWorkspace as Workspace
from allnorm import _library, _tensors


def test_required_bytes_are_those_of_a_buffer():
    assert Workspace.get_required_buffer_size_bytes(4, 10, 64, np.float16, Strategy.ONESHOT) == 10 * 4 * 128
    assert Workspace.get_required_buffer_size_bytes(4, 10, 64, np.float16, Strategy.TWOSHOT) == 2 * 12 * 128
    assert Workspace.get_required_buffer_size_bytes(4, 10, 64, "float32") == 10 * 4 * 256


def test_a_workspace_says_what_it_holds(make_world):
    workspace = make_world(2, tokens=8, hidden=64).workspaces[0]
    assert workspace.max_tokens(64, np.float16) == 8
    assert workspace.is_buffer_size_sufficient(2, 8, 64, np.float16)
    assert workspace.is_buffer_size_sufficient(2, 8, 32, np.float32, Strategy.TWOSHOT)
    assert not workspace.is_buffer_size_sufficient(2, 9, 64, np.float16)
    assert not workspace.is_buffer_size_sufficient(2, 8, 64, np.float32)
    assert not workspace.is_buffer_size_sufficient(4, 8, 64, np.float16)


def test_a_size_in_bytes_is_room_for_tokens():
    backend = allnorm.SimulatedRanks(2)
    size = Workspace.get_required_buffer_size_bytes(2, 20, 64, np.float16, Strategy.TWOSHOT)
    workspaces = [Workspace(SimpleNamespace(tp_size=2, tp_rank=rank), hidden_dim=64, dtype=np.float16,
                            buffer_size_in_bytes=size, comm_backend=backend) for rank in range(2)]
    assert workspaces[0].max_tokens(64, np.float16, Strategy.TWOSHOT) == 20
    assert workspaces[1].max_tokens(64, np.float16, Strategy.ONESHOT) == 20
    for workspace in workspaces:
        workspace.destroy()


def test_buffers_can_be_given_back_for_a_while(make_world):
    world = make_world(2)
    inputs = world.inputs(2)
    before = world.call(lambda r, w: allnorm.trtllm_mnnvl_allreduce(inputs[r], w, False))
    world.workspaces[0].checkpoint_prepare()
    world.workspaces[0].checkpoint_restore()
    after = world.call(lambda r, w: allnorm.trtllm_mnnvl_allreduce(inputs[r], w, False))
    assert (before[0] == after[0]).all()


def test_structs_are_as_large_as_the_library_knows():
    for struct in (_library.ContextOptions, _library.WorldOptions, _library.WorkspaceStatus, _library.FusedCall,
                   _library.AllReduceCall):
        assert _library.library().new(struct).struct_size == ctypes.sizeof(struct)


class OnlyDlpack:
    """An array that shows nothing else."""

    def __init__(self, array):
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def __dlpack__(self, stream=None):
        return self._array.__dlpack__()


def test_arrays_of_any_framework_are_read_by_dlpack():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    view = _tensors.view(OnlyDlpack(array), "input")
    assert view == (array.ctypes.data, (3, 4), _library.F32, _tensors.HOST)
    references = sys.getrefcount(array)
    for _ in range(100):
        _tensors.view(OnlyDlpack(array), "input")
    assert sys.getrefcount(array) == references
    try:
        _tensors.view(OnlyDlpack(array[:, ::2]), "input")
    except ValueError as error:
        assert "input.strides" in str(error)
    else:
        raise AssertionError("a view with gaps was taken")


def test_importing_loads_no_library_and_no_framework():
    code = ("import sys, allnorm; loaded = [m for m in ('torch', 'numpy', 'cupy', 'jax') if m in sys.modules]; "
            "import allnorm._library as l; print(loaded, l._library)")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[] None"


def test_the_command_comes_with_the_package():
    result = subprocess.run([sys.executable, "-m", "allnorm", "--version"], capture_output=True, text=True)
    assert result.returncode == 0 and allnorm.__version__ in result.stdout


def test_at_the_interpreters_end_a_workspace_is_a_destroyed_one():
    script = """
import atexit
from types import SimpleNamespace
import numpy as np
state = {}
def late():
    try:
        allnorm.trtllm_mnnvl_allreduce(np.ones((1, 64), np.float16), state["workspace"], False)
    except ValueError as error:
        print(error)
atexit.register(late)  # so it runs after what is registered later
import allnorm
mapping = SimpleNamespace(world_size=1, rank=0, tp_size=1, tp_rank=0)
ranks = allnorm.SimulatedRanks(1)
state["workspace"] = allnorm.MNNVLAllReduceFusionWorkspace(mapping, 8, 64, np.float16, comm_backend=ranks)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "destroyed" in done.stdout
