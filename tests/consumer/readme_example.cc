#include <allnorm/buffer.h>
#include <allnorm/fused.h>

#include <cstdio>
#include <vector>

// Two ranks, here both on GPU 0. Each holds 8 tokens of ones; the residual and gamma are ones as well.
int main() try {
  constexpr int kTokens = 8, kHidden = 4096;
  allnorm::Context context;
  allnorm::World world(context, {.devices = {0, 0}, .max_row_bytes = kHidden * 4, .max_tokens_one_shot = kTokens});

  const std::vector<float> host(kTokens * kHidden, 1.0f);
  allnorm::Buffer ones(context, 0, host.size() * 4), fp8[] = {{context, 0, host.size()}, {context, 0, host.size()}};
  allnorm::OwnedStream stream[] = {{context, 0}, {context, 0}};
  ones.write(host.data(), host.size() * 4);
  const allnorm::Tensor rows{ones.data(), allnorm::DataType::kF32, kTokens, kHidden};
  allnorm::FusedCall call[2];
  for (int rank : {0, 1}) {
    call[rank] = {.input = rows, .residual_in = rows, .gamma = {ones.data(), allnorm::DataType::kF32, 1, kHidden}};
    call[rank].quant_out = {fp8[rank].data(), allnorm::DataType::kE4M3, kTokens, kHidden};
    call[rank].quant = allnorm::Quant::kFp8;
    allnorm::prepare(world.rank(rank), call[rank]);
  }
  for (int rank : {0, 1}) allnorm::fused_allreduce_add_rmsnorm_quant(world.rank(rank), call[rank], stream[rank].get());
  context.synchronize(0);

  unsigned char first = 0;
  fp8[1].read(&first, 1);
  std::printf("3 / sqrt(mean of 3 * 3) is 1, in e4m3 0x38; rank 1 has 0x%02X\n", first);
} catch (const allnorm::Error& error) {
  std::printf("%s: %s\n", allnorm::to_string(error.code()), error.what());
}
