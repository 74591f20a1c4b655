"""A transformer block's attention output, fused: projection, then AllReduce + residual + RMSNorm + FP8 in one call, then
an FP8 matmul, checked against the unfused steps.

torchrun --nproc-per-node 2 block.py
"""

from types import SimpleNamespace

import torch
import torch.distributed as dist

import allnorm

TOKENS, HIDDEN, FEED_FORWARD, SCALE = 128, 4096, 8192, 0.05


class Block(torch.nn.Module):
    """This rank's share: columns of the attention's heads, columns of the feed-forward."""

    def __init__(self, ranks: int, device: torch.device) -> None:
        super().__init__()
        share = lambda *shape: torch.randn(*shape, device=device).bfloat16() / shape[-1] ** 0.5
        self.projection = share(HIDDEN, HIDDEN // ranks)
        self.gamma = torch.rand(HIDDEN, device=device).bfloat16()
        # As torch._scaled_mm wants it: e4m3, column-major.
        self.up = share(FEED_FORWARD // ranks, HIDDEN).to(torch.float8_e4m3fn).t()
        self.one, self.scale = torch.ones((), device=device), torch.full((), SCALE, device=device)

    def matmul(self, codes: torch.Tensor) -> torch.Tensor:
        return torch._scaled_mm(codes, self.up, scale_a=self.scale, scale_b=self.one, out_dtype=torch.bfloat16)

    def unfused(self, attention: torch.Tensor, residual: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        partial = attention @ self.projection.t()
        dist.all_reduce(partial)
        residual = partial + residual
        wide = residual.float()
        normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + torch.finfo(torch.bfloat16).eps)
        normed = (normed * self.gamma.float()).bfloat16()
        codes = (normed.float() / SCALE).clamp(-448, 448).to(torch.float8_e4m3fn)
        return self.matmul(codes), residual

    def fused(self, attention: torch.Tensor, residual: torch.Tensor, workspace: object) -> tuple:
        codes, _, residual, _ = allnorm.trtllm_mnnvl_fused_allreduce_add_rmsnorm_quant(
            attention @ self.projection.t(), residual, self.gamma, workspace, output_scale=SCALE,
            quant_type=allnorm.MNNVLQuantType.FP8, launch_with_pdl=True)
        return self.matmul(codes), residual


def main() -> None:
    dist.init_process_group("nccl")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    torch.cuda.set_device(rank)
    device = torch.device("cuda", rank)
    workspace = allnorm.MNNVLAllReduceFusionWorkspace(SimpleNamespace(tp_size=ranks, tp_rank=rank), TOKENS, HIDDEN,
                                                      torch.bfloat16)
    torch.manual_seed(0)
    residual = torch.randn(TOKENS, HIDDEN, device=device).bfloat16()
    torch.manual_seed(1 + rank)
    block = Block(ranks, device)
    dist.broadcast(block.gamma, 0)
    attention = torch.randn(TOKENS, HIDDEN // ranks, device=device).bfloat16()

    expected, sums = block.unfused(attention, residual)
    result, residual_out = torch.compile(block.fused)(attention, residual, workspace)
    workspace.synchronize()
    torch.testing.assert_close(residual_out, sums, rtol=0.02, atol=0.02)
    difference = ((result - expected).float().norm() / expected.float().norm()).item()
    assert difference < 0.02, difference
    if rank == 0:
        print(f"{TOKENS} tokens on {ranks} GPUs: fused and unfused differ by {difference:.4f} of the result")
    workspace.destroy()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
