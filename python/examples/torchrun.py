"""The fused call with PyTorch, a process for each GPU: torchrun --nproc-per-node 2 torchrun.py"""

from types import SimpleNamespace

import torch
import torch.distributed as dist

import allnorm

dist.init_process_group("nccl")
rank, ranks = dist.get_rank(), dist.get_world_size()
torch.cuda.set_device(rank)
device, tokens, hidden = torch.device("cuda", rank), 64, 7168
workspace = allnorm.MNNVLAllReduceFusionWorkspace(SimpleNamespace(tp_size=ranks, tp_rank=rank), 4096, hidden,
                                                  torch.bfloat16)
torch.manual_seed(0)
residual, gamma = torch.randn(tokens, hidden, device=device).bfloat16(), torch.ones(hidden, device=device).bfloat16()
partial = torch.randn(tokens, hidden, device=device).bfloat16() * (rank + 1)

allnorm.prepare(workspace, 4096, hidden, torch.bfloat16, allnorm.MNNVLQuantType.FP8, launch_with_pdl=True)
codes, _, residual_out, _ = allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant(
    partial, residual, gamma, workspace, quant_type=allnorm.MNNVLQuantType.FP8, output_scale=0.05,
    launch_with_pdl=True)
workspace.synchronize()

total = partial.clone()
dist.all_reduce(total)
torch.testing.assert_close(residual_out, total + residual)
if rank == 0:
    print(f"{tokens} rows of {hidden} on {ranks} GPUs: as NCCL's all-reduce has them; codes {codes.dtype}")
workspace.destroy()
dist.destroy_process_group()
