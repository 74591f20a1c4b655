"""How the ranks of a tensor-parallel group find each other.

A process for each rank: `comm_backend` is a torch.distributed process group (or None: the default group, or what
torchrun and mpirun say of the process), or any object with Get_rank(), Get_size() and allgather(), such as mpi4py's or
FlashInfer's. All ranks in one process, on a machine without GPUs: SimulatedRanks.
"""

from __future__ import annotations

import ctypes as c
import sys
import weakref
from typing import Any, Callable

from . import _library as lib
from ._context import context
from ._library import library
from .errors import refuse


class Group:
    """The C ABI's allnorm_group over a gather of bytes objects; it outlives the worlds in it."""

    def __init__(self, rank: int, size: int, gather: Callable[[bytes], list[bytes]]) -> None:
        def all_gather(_user: int, mine: int, count: int, everyone: int) -> int:
            try:
                parts = gather(c.string_at(mine, count))
                if len(parts) != size or any(len(part) != count for part in parts):
                    return 1
                c.memmove(everyone, b"".join(parts), count * size)
                return 0
            except BaseException as error:  # no exception may leave a callback
                print(f"allnorm: the group's gather failed: {error}", file=sys.stderr)
                return 1

        self._callback = lib.AllGather(all_gather)
        self.handle = library().get(library().group_from_all_gather, rank, size, self._callback, None)

    def destroy(self) -> None:
        if self.handle:
            library().group_destroy(self.handle)
            self.handle = None


class _LaunchedGroup(Group):
    def __init__(self) -> None:
        self.handle = library().get(library().group_meet_launched, 60.0)


def _torch_group(group: Any) -> Group:
    distributed = sys.modules["torch"].distributed

    def gather(mine: bytes) -> list[bytes]:
        parts: list[Any] = [None] * distributed.get_world_size(group)
        distributed.all_gather_object(parts, mine, group=group)
        return parts

    return Group(distributed.get_rank(group), distributed.get_world_size(group), gather)


def make_group(backend: Any, rank: int, size: int) -> Group:
    """Of this process, which the mapping says is `rank` of `size`."""
    torch = sys.modules.get("torch")
    distributed = torch.distributed if torch is not None and torch.distributed.is_available() else None
    if backend is None:
        if distributed is None or not distributed.is_initialized():
            return _LaunchedGroup()
        backend = distributed.group.WORLD
    if distributed is not None and isinstance(backend, distributed.ProcessGroup):
        found = distributed.get_rank(backend), distributed.get_world_size(backend)
        make = lambda: _torch_group(backend)
    elif all(hasattr(backend, name) for name in ("Get_rank", "Get_size", "allgather")):
        found = backend.Get_rank(), backend.Get_size()
        make = lambda: Group(*found, lambda mine: list(backend.allgather(mine)))
    else:
        refuse("comm_backend", type(backend).__name__,
               "None, a torch.distributed process group, SimulatedRanks, or an object with Get_rank(), Get_size() and "
               "allgather()")
    if found != (rank, size):
        refuse("comm_backend", f"one in which this process is rank {found[0]} of {found[1]}",
               f"the mapping's: tp_rank {rank} of tp_size {size}")
    return make()


class SimulatedRanks:
    """All ranks of a world in this process, on simulated GPUs: for NumPy arrays, and machines without a GPU.

    Every rank's workspace is made with the same sizes and this object as comm_backend. Calls only take note of their
    arrays; synchronize() runs what all ranks have called since, and fills the outputs.

    Bitwise the same results as on GPUs; the times mean nothing.
    """

    def __init__(self, world_size: int, timeout_seconds: float = lib.DEFAULT_TIMEOUT) -> None:
        if not 1 <= world_size <= 72:
            refuse("world_size", world_size, "1 to 72")
        self.world_size = world_size
        self._timeout = timeout_seconds
        self._context = context(f"sim:{world_size}")
        self._world: int | None = None
        self._sizes: tuple[int, int, int] | None = None
        self._streams = [library().get(library().stream_create, self._context, rank) for rank in range(world_size)]
        weakref.finalize(self, _destroy_streams, self._context, self._streams)
        self._pending: list[_SimulatedCall] = []
        self._users = 0

    def _join(self, rank: int, sizes: tuple[int, int, int]) -> int:
        """The workspace handle of a rank."""
        if self._world is None:
            options = library().new(lib.WorldOptions)
            devices = (c.c_int32 * self.world_size)(*range(self.world_size))
            options.devices, options.world_size = devices, self.world_size
            options.max_row_bytes, options.max_tokens_one_shot, options.max_tokens_two_shot = sizes
            options.timeout_seconds = self._timeout
            self._world = library().get(library().world_create, self._context, c.byref(options))
            self._sizes = sizes
        elif sizes != self._sizes:
            refuse("workspace", f"a capacity other than that of the world's first workspace, {sizes}", f"{self._sizes}")
        self._users += 1
        return library().get(library().world_rank, self._world, rank)

    def _leave(self) -> None:
        self._users -= 1
        if self._users == 0 and self._world is not None:
            library().world_destroy(self._world)
            self._world = self._sizes = None
            self._pending.clear()

    def synchronize(self) -> None:
        """Waits for all calls of all ranks, then fills their outputs. Raises what a rank's wait ended with."""
        calls, self._pending = self._pending, []
        try:
            for rank, stream in enumerate(self._streams):
                library().stream_synchronize(self._context, rank, stream)
            for call in calls:
                call.check()
            for call in calls:
                call.read_outputs()
        finally:
            for call in calls:
                call.destroy()


def _destroy_streams(of_context: int, streams: list[int]) -> None:
    for rank, stream in enumerate(streams):
        library().stream_destroy(of_context, rank, stream)


class _SimulatedCall:
    """Arrays of a call on a simulated GPU: copied there before it, and outputs back after it."""

    def __init__(self, ranks: SimulatedRanks, rank: int, workspace: Any) -> None:
        self._ranks, self._rank, self._workspace = ranks, rank, workspace
        self._buffers: list[int] = []
        self._outputs: list[tuple[int, int, int]] = []
        self._arrays: list[Any] = []
        self._places: list[tuple[int, int, str, bool, int]] = []

    def place(self, array: Any, address: int, size: int, argument: str, is_output: bool) -> int:
        """The address on the simulated GPU. Memory that is given twice has one place, where the library sees whether it
        may; what an output shares in part would be in two."""
        buffer = None
        for there, bytes_there, name, is_output_there, its_buffer in self._places:
            if (address, size) == (there, bytes_there):
                buffer = its_buffer
            elif (is_output or is_output_there) and address < there + bytes_there and there < address + size:
                refuse(argument, f"memory that overlaps {name}'s",
                       "memory apart from it, or exactly its where the call allows that")
        if buffer is None:
            buffer = library().get(library().buffer_create, self._ranks._context, self._rank, max(size, 16))
            self._buffers.append(buffer)
        self._places.append((address, size, argument, is_output, buffer))
        self._arrays.append(array)
        if not is_output:
            library().buffer_write(buffer, 0, address, size)
        if is_output:
            self._outputs.append((buffer, address, size))
        return library().get(library().buffer_data, buffer)

    def stream(self) -> int:
        return self._ranks._streams[self._rank]

    def launched(self) -> None:
        self._ranks._pending.append(self)

    def check(self) -> None:
        self._workspace.raise_if_unhealthy()

    def read_outputs(self) -> None:
        for buffer, address, size in self._outputs:
            library().buffer_read(buffer, 0, address, size)

    def destroy(self) -> None:
        for buffer in self._buffers:
            library().buffer_destroy(buffer)
        self._buffers.clear()
