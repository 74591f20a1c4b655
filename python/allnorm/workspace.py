"""The workspace of a tensor-parallel group: the memory through which its ranks meet."""

from __future__ import annotations

import ctypes as c
import itertools
import sys
import weakref
from typing import Any, NamedTuple

from . import _library as lib
from ._context import context
from ._library import library
from ._tensors import dtype_number
from .enums import MNNVLAllreduceFusionStrategy
from .errors import AllNormError, refuse
from .groups import SimulatedRanks, make_group

_ONE_SHOT, _TWO_SHOT = MNNVLAllreduceFusionStrategy.ONESHOT, MNNVLAllreduceFusionStrategy.TWOSHOT
#: One-shot takes tp_size slots for each token. By default no more than this, in bytes of a buffer.
_ONE_SHOT_BYTES = 1 << 28


_numbers = itertools.count(1)
#: By number, as long as they live.
workspaces: weakref.WeakValueDictionary[int, MNNVLAllReduceFusionWorkspace] = weakref.WeakValueDictionary()


class Status(NamedTuple):
    """What became of the calls that ran: healthy, or who gave up waiting for whom, and where."""

    healthy: bool
    message: str
    rank: int
    waited_for: int
    row: int
    epoch: int
    phase: str


def _strategy(value: Any) -> MNNVLAllreduceFusionStrategy:
    try:
        return MNNVLAllreduceFusionStrategy(getattr(value, "value", value))
    except ValueError:
        refuse("strategy", value, "ONESHOT (0), TWOSHOT (1), AUTO (99)")


def _whole(value: Any, argument: str, least: int = 1) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        refuse(argument, value, f"a whole number from {least} on")
    return value.__index__()


def _options(world_size: int, row_bytes: int, one_shot: int, two_shot: int) -> Any:
    options = library().new(lib.WorldOptions)
    options.world_size, options.max_row_bytes = world_size, row_bytes
    options.max_tokens_one_shot, options.max_tokens_two_shot = one_shot, two_shot
    return options


class MNNVLAllReduceFusionWorkspace:
    """Receive buffers and state of this process's rank.

    All ranks make theirs together, with the same sizes. One call is in flight at a time. Calls are asynchronous, on the
    current stream; `status()` says afterwards whether waits were given up. Raises ValueError for wrong arguments and
    AllNormError for what fails on any rank: then it fails on all, with the same message.

    mapping: anything with tp_size and tp_rank (and world_size and rank). max_num_tokens, hidden_dim and dtype are the
    most rows and the largest row of any call; buffer_size_in_bytes asks for more room, in bytes of one of the three
    buffers, as get_required_buffer_size_bytes() counts them. comm_backend: see allnorm.groups. The GPU is PyTorch's or
    CuPy's current one, else that of the local rank.
    """

    def __init__(self, mapping: Any, max_num_tokens: int | None = None, hidden_dim: int | None = None, dtype: Any = None,
                 buffer_size_in_bytes: int | None = None, comm_backend: Any = None) -> None:
        self._group = self._world = self._simulated = None
        self.tp_size = _whole(mapping.tp_size, "mapping.tp_size")
        self.rank = _whole(mapping.tp_rank, "mapping.tp_rank", 0)
        if self.rank >= self.tp_size:
            refuse("mapping.tp_rank", self.rank, f"0 to {self.tp_size - 1}, below tp_size")
        if hidden_dim is None or dtype is None:
            refuse("hidden_dim and dtype", "None", "the largest row of any call: a row's place is fixed when the "
                   "workspace is made")
        row = _whole(hidden_dim, "hidden_dim") * lib.ELEMENT_BYTES[dtype_number(dtype, "workspace")]
        if max_num_tokens is None and buffer_size_in_bytes is None:
            refuse("max_num_tokens", "None", "the most tokens of any call, or buffer_size_in_bytes")
        tokens = 0 if max_num_tokens is None else _whole(max_num_tokens, "max_num_tokens")
        one_shot = min(tokens, max(_ONE_SHOT_BYTES // (self.tp_size * row), 1))
        if buffer_size_in_bytes is not None:
            size = _whole(buffer_size_in_bytes, "buffer_size_in_bytes")
            one_shot = max(one_shot, size // (self.tp_size * row))
            tokens = max(tokens, size // (2 * row) // self.tp_size * self.tp_size)
            if max(one_shot, tokens) == 0:
                refuse("buffer_size_in_bytes", size, f"at least {2 * self.tp_size * row}, for a row of each rank")
        sizes = (row, one_shot, tokens)

        if isinstance(comm_backend, SimulatedRanks):
            if comm_backend.world_size != self.tp_size:
                refuse("mapping.tp_size", self.tp_size, f"{comm_backend.world_size}, that of comm_backend")
            self.device = -1
            self._simulated = comm_backend
            self.handle = comm_backend._join(self.rank, sizes)
        else:
            self.device = _current_device(mapping)
            self._group = make_group(comm_backend, self.rank, self.tp_size)
            options = _options(0, *sizes)
            try:
                self._world = library().get(library().world_create_in_group, context("cuda"), self._group.handle,
                                            self.device, c.byref(options))
            except AllNormError:
                self._group.destroy()
                raise
            self.handle = library().get(library().world_own, self._world)
        self.known_calls: list[Any] = []  #: See _known.py.
        self._finalizer = weakref.finalize(self, _release, self._simulated, self._world, self._group, self.known_calls)
        #: What stands for this workspace in a compiled graph.
        self.number = next(_numbers)
        workspaces[self.number] = self
        #: PyTorch's current stream of a GPU, as an address; None without PyTorch.
        self.raw_stream: Any = None
        if "torch" in sys.modules:
            from . import _known, torch_ops  # the second registers the operators

            if self._simulated is None:
                self.raw_stream = torch_ops.raw_stream
                _known.look()

    # --- capacity

    @staticmethod
    def get_required_buffer_size_bytes(tp_size: int, num_tokens: int, hidden_dim: int, dtype: Any,
                                       strategy: Any = MNNVLAllreduceFusionStrategy.AUTO) -> int:
        """Bytes of one of the three buffers that calls of so many tokens need; AUTO: for either strategy."""
        row = _whole(hidden_dim, "hidden_dim") * lib.ELEMENT_BYTES[dtype_number(dtype, "workspace")]
        ranks, tokens = _whole(tp_size, "tp_size"), _whole(num_tokens, "num_tokens")
        one_shot = tokens * ranks * row
        two_shot = 2 * -(-tokens // ranks) * ranks * row
        wanted = _strategy(strategy)
        return one_shot if wanted is _ONE_SHOT else two_shot if wanted is _TWO_SHOT else max(one_shot, two_shot)

    def max_tokens(self, hidden_dim: int, dtype: Any, strategy: Any = MNNVLAllreduceFusionStrategy.AUTO) -> int:
        """The most tokens of a call; 0 where such rows do not fit. AUTO: by the better strategy."""
        wanted = _strategy(strategy)
        kinds = (_ONE_SHOT, _TWO_SHOT) if wanted is MNNVLAllreduceFusionStrategy.AUTO else (wanted,)
        number = dtype_number(dtype, "workspace")
        return max(library().get(library().workspace_max_tokens, self.handle, kind.value, hidden_dim, number,
                                 result=c.c_int64) for kind in kinds)

    def is_buffer_size_sufficient(self, tp_size: int, num_tokens: int, hidden_dim: int, dtype: Any,
                                  strategy: Any = MNNVLAllreduceFusionStrategy.AUTO) -> bool:
        """Whether a call of so many tokens fits; AUTO: by any strategy."""
        return tp_size == self.tp_size and num_tokens <= self.max_tokens(hidden_dim, dtype, strategy)

    @property
    def backend(self) -> str:
        return "mnnvl"

    # --- waits

    def status(self) -> Status:
        """Reads the device; waits for no call."""
        status = library().new(lib.WorkspaceStatus)
        library().workspace_get_status(self.handle, c.byref(status))
        return Status(bool(status.healthy), status.message.decode(), status.rank, status.waited_for, status.row,
                      status.epoch, status.phase.decode())

    def raise_if_unhealthy(self) -> None:
        """Raises AllNormError with the diagnostics of a wait that was given up, by whichever rank."""
        status = library().new(lib.WorkspaceStatus)
        library().workspace_get_status(self.handle, c.byref(status))
        if not status.healthy:
            raise library().error(status.code, status.message.decode())

    def abort(self) -> None:
        """Ends all waits of this rank's and its peers' calls."""
        library().workspace_abort(self.handle)

    def set_timeout(self, seconds: float) -> None:
        """How long a call waits for a peer; 0: for ever. Also for calls that are captured in graphs."""
        library().workspace_set_timeout(self.handle, seconds)

    def reset(self) -> None:
        """After a timeout or an abort, by all ranks together: buffers and state are renewed."""
        library().world_reset(self._any_world())

    def synchronize(self) -> None:
        """Waits for the GPU, or runs the simulated calls of all ranks; then raises what a wait ended with."""
        if self._simulated is not None:
            self._simulated.synchronize()
        else:
            library().context_synchronize(context("cuda"), self.device)
            self.raise_if_unhealthy()

    # --- life

    def checkpoint_prepare(self) -> None:
        """By all ranks, without calls in flight: gives the buffers' memory back, their addresses stay."""
        library().world_suspend(self._any_world())

    def checkpoint_restore(self, comm_backend: Any = None) -> None:
        """By all ranks: memory again, at the same addresses; graphs that were captured go on. Whatever backend is given,
        the group is the one that the workspace was made with."""
        library().world_resume(self._any_world())

    def destroy(self) -> None:
        """No call may be in flight. A second time it does nothing."""
        self._finalizer()

    def check_alive(self) -> None:
        if not self._finalizer.alive:  # also at the interpreter's end
            refuse("workspace", "one that was destroyed", "a workspace that lives")

    def _any_world(self) -> int:
        self.check_alive()
        return self._simulated._world if self._simulated is not None else self._world


def _release(simulated: SimulatedRanks | None, world: int | None, group: Any, known_calls: list[Any]) -> None:
    known_calls.clear()
    if simulated is not None:
        simulated._leave()
    if world is not None:
        library().world_destroy(world)
    if group is not None:
        group.destroy()


def _current_device(mapping: Any) -> int:
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.current_device()
    if cupy is not None:
        return cupy.cuda.Device().id
    return getattr(mapping, "local_rank", mapping.tp_rank)
