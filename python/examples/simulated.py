"""The fused call on two simulated GPUs: needs NumPy and nothing else."""

from types import SimpleNamespace

import numpy as np

import allnorm

RANKS, TOKENS, HIDDEN = 2, 4, 256
ranks = allnorm.SimulatedRanks(RANKS)
workspaces = [allnorm.MNNVLAllReduceFusionWorkspace(SimpleNamespace(tp_size=RANKS, tp_rank=rank), TOKENS, HIDDEN,
                                                    np.float16, comm_backend=ranks) for rank in range(RANKS)]
random = np.random.default_rng(1)
partial_sums = [random.standard_normal((TOKENS, HIDDEN)).astype(np.float16) for _ in range(RANKS)]
residual = random.standard_normal((TOKENS, HIDDEN)).astype(np.float16)
gamma = np.ones(HIDDEN, np.float16)

results = [allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant(
    partial_sums[rank], residual, gamma, workspaces[rank], quant_type=allnorm.MNNVLQuantType.FP8, output_scale=0.05)
    for rank in range(RANKS)]
ranks.synchronize()

codes, _, residual_out, _ = results[0]
total = (partial_sums[0].astype(np.float32) + partial_sums[1]).astype(np.float16)
assert (residual_out == total + residual).all()
assert all((result[0] == codes).all() for result in results)
print(f"{TOKENS} rows of {HIDDEN}: FP8 codes of all {RANKS} ranks agree; the first are {codes[0, :6]}")
