from types import SimpleNamespace

import numpy as np
import pytest

import allnorm


class World:
    """Ranks on simulated GPUs, with random rows."""

    def __init__(self, ranks, tokens=8, hidden=64, dtype=np.float16):
        self.ranks, self.dtype, self.hidden = ranks, dtype, hidden
        self.backend = allnorm.SimulatedRanks(ranks, timeout_seconds=0.05)
        self.workspaces = [self.workspace(rank, tokens) for rank in range(ranks)]
        self.random = np.random.default_rng(ranks)

    def workspace(self, rank, tokens):
        mapping = SimpleNamespace(world_size=self.ranks, rank=rank, tp_size=self.ranks, tp_rank=rank)
        return allnorm.MNNVLAllReduceFusionWorkspace(mapping, tokens, self.hidden, self.dtype, comm_backend=self.backend)

    def rows(self, tokens, scale=1.0):
        return (self.random.standard_normal((tokens, self.hidden)) * scale).astype(self.dtype)

    def inputs(self, tokens):
        return [self.rows(tokens) for _ in range(self.ranks)]

    def gamma(self, dtype=None):
        return self.random.standard_normal(self.hidden).astype(dtype or self.dtype)

    def call(self, function):
        """What function(rank, workspace) returns for each rank, with its outputs filled."""
        results = [function(rank, workspace) for rank, workspace in enumerate(self.workspaces)]
        self.backend.synchronize()
        return results

    def destroy(self):
        for workspace in self.workspaces:
            workspace.destroy()


@pytest.fixture
def make_world():
    worlds = []

    def make(*arguments, **options):
        worlds.append(World(*arguments, **options))
        return worlds[-1]

    yield make
    for world in worlds:
        world.destroy()
