"""Host time of a warm eager call, in microseconds: torchrun --nproc-per-node 2 python/tests_gpu/host_time.py

The plain call and the custom operator, beside torch.add and, where it is installed, FlashInfer's fused call. The GPU is
kept busy less than the host, so that nothing waits; medians of 7 rounds of 200 calls. Prints JSON lines.
"""

import json
import statistics
import time
from types import SimpleNamespace

import torch
import torch.distributed as dist

import allnorm


def microseconds(call, calls=200, rounds=7):
    times = []
    for _ in range(rounds + 1):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - begin) * 1e6 / calls)
        torch.cuda.synchronize()
        dist.barrier()
    return statistics.median(times[1:])


def main():
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
    plain = lambda: allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant(
        x, residual, gamma, workspace, residual_out=residual_out, quant_out=codes, output_scale=0.5, quant_type=quant)
    operator = lambda: torch.ops.allnorm.fused_allreduce_add_rmsnorm(
        x, residual, gamma, workspace.number, None, None, residual_out, codes, None, None, 0.5, 0, 1, False, 99, 0.0)
    figures = {"allnorm": plain, "allnorm operator": operator, "torch.add": lambda: torch.add(x, residual, out=residual_out)}
    for name, call in figures.items():
        time_ = microseconds(call)
        if rank == 0:
            print(json.dumps({"call": name, "host_microseconds": round(time_, 2)}), flush=True)
    workspace.synchronize()
    workspace.destroy()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
