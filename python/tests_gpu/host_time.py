"""Host time of a warm eager call, in microseconds: torchrun --nproc-per-node 2 python/tests_gpu/host_time.py

The plain call and the custom operator, beside torch.add and, where it is installed, FlashInfer's fused call (trtllm
backend; its workspace is made as by tools/compare-peers, without multicast). They take turns, 15 rounds of 200 calls
each, which fit into the GPU's queue, so that nothing waits. Prints JSON lines: median, distance of the quartiles, and
the ratio of the medians to torch.add's. What fails has "error" in its line, and the rest goes on.
"""

import importlib.util
import json
import os
import statistics
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist

import allnorm

ROUNDS, CALLS = 15, 200


def microseconds(call):
    torch.cuda.synchronize()
    dist.barrier()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begin) * 1e6 / CALLS


def flashinfer_call(rank, ranks, x, residual, gamma, residual_out, codes):
    """FlashInfer's call of the same tensors, with the settings that take the host least."""
    path = str(Path(__file__).parents[2] / "tools" / "compare-peers")
    spec = importlib.util.spec_from_loader("compare_peers", SourceFileLoader("compare_peers", path))
    peers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peers)

    class Peer(peers.Rank):
        def __init__(self):
            self.torch, self.dist, self.rank, self.ranks, self.attempts = torch, dist, rank, ranks, 0
            self.arguments = SimpleNamespace(tokens=[64], hidden=[x.shape[1]])
            self.store = dist.PrefixStore("flashinfer", dist.distributed_c10d._get_default_store())

    peer = Peer()
    comm, workspace, _ = peer.flashinfer_workspace()
    scale, output = torch.tensor([0.5], device=x.device), torch.empty_like(x)
    call = lambda: comm.allreduce_fusion(
        input=x, workspace=workspace, launch_with_pdl=False, trigger_completion_at_end=True,
        pattern=comm.AllReduceFusionPattern.kARResidualRMSNormFP8Quant, use_oneshot=True, fp32_acc=False, output=output,
        residual_in=residual, residual_out=residual_out, rms_gamma=gamma, rms_eps=1e-6, quant_out=codes,
        scale_factor=scale)
    _, error = peer.attempt(call)
    if error:
        raise RuntimeError(error)
    return call


def main():
    os.environ["TORCH_SYMM_MEM_DISABLE_MULTICAST"] = "1"
    os.environ.setdefault("NCCL_NVLS_ENABLE", "0")
    dist.init_process_group("nccl")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    torch.cuda.set_device(rank)
    device = torch.device("cuda", rank)
    workspace = allnorm.MNNVLAllReduceFusionWorkspace(SimpleNamespace(tp_size=ranks, tp_rank=rank), 64, 1024,
                                                      torch.bfloat16)
    x = torch.randn(1, 1024, device=device).bfloat16()
    residual, gamma, residual_out = torch.randn_like(x), torch.ones_like(x[0]), torch.empty_like(x)
    codes = torch.empty_like(x, dtype=torch.float8_e4m3fn)
    quant = allnorm.MNNVLQuantType.FP8
    operator = torch.ops.allnorm.fused_allreduce_add_rmsnorm
    arguments = (x, residual, gamma, workspace.number, None, None, residual_out, codes, None, None, 0.5, 0, 1, False, 99,
                 0.0)
    calls = {
        "torch.add": lambda: torch.add(x, residual, out=residual_out),
        "allnorm": lambda: allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant(
            x, residual, gamma, workspace, residual_out=residual_out, quant_out=codes, output_scale=0.5,
            quant_type=quant),
        "allnorm operator": lambda: operator(*arguments),
        "allnorm operator.default": lambda: operator.default(*arguments),
    }
    errors = {}
    if importlib.util.find_spec("flashinfer"):
        try:
            calls["flashinfer"] = flashinfer_call(rank, ranks, x, residual, gamma, residual_out, codes)
        except Exception as error:  # on all ranks alike
            errors["flashinfer"] = f"{type(error).__name__}: {error}"[:500]
    times = {name: [] for name in calls}
    for _ in range(ROUNDS + 1):
        for name, call in calls.items():
            times[name].append(microseconds(call))
    medians = {name: statistics.median(samples[1:]) for name, samples in times.items()}
    for name, samples in times.items():
        lower, _, upper = statistics.quantiles(samples[1:], n=4)
        if rank == 0:
            print(json.dumps({"call": name, "host_microseconds": round(medians[name], 2),
                              "quartile_spread": round(upper - lower, 2),
                              "to_torch_add": round(medians[name] / medians["torch.add"], 2)}), flush=True)
    for name, error in errors.items():
        if rank == 0:
            print(json.dumps({"call": name, "error": error}), flush=True)
    workspace.synchronize()
    workspace.destroy()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
