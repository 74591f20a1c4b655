#include <allnorm/fused.h>
#include <cuda_runtime_api.h>

#include <cstdio>
#include <vector>

// Two ranks, here both on GPU 0. Each holds 8 tokens of ones; the residual and gamma are ones as well.
int main() try {
  constexpr int kTokens = 8, kHidden = 4096;
  allnorm::Context context;
  allnorm::World world(context, {.devices = {0, 0}, .max_row_bytes = kHidden * 4, .max_tokens_one_shot = kTokens});

  const std::vector<float> host(kTokens * kHidden, 1.0f);
  void *ones, *fp8[2];
  cudaStream_t stream[2];
  cudaMalloc(&ones, host.size() * 4);
  cudaMemcpy(ones, host.data(), host.size() * 4, cudaMemcpyHostToDevice);
  const allnorm::Tensor rows{ones, allnorm::DataType::kF32, kTokens, kHidden};
  allnorm::FusedCall call[2];
  for (int rank : {0, 1}) {
    cudaMalloc(&fp8[rank], host.size());
    cudaStreamCreateWithFlags(&stream[rank], cudaStreamNonBlocking);
    call[rank] = {.input = rows, .residual_in = rows, .gamma = {ones, allnorm::DataType::kF32, 1, kHidden}};
    call[rank].quant_out = {fp8[rank], allnorm::DataType::kE4M3, kTokens, kHidden};
    call[rank].quant = allnorm::Quant::kFp8;
    allnorm::prepare(world.rank(rank), call[rank]);
  }
  cudaDeviceSynchronize();
  for (int rank : {0, 1}) allnorm::fused_allreduce_add_rmsnorm_quant(world.rank(rank), call[rank], stream[rank]);
  cudaDeviceSynchronize();

  unsigned char first = 0;
  cudaMemcpy(&first, fp8[1], 1, cudaMemcpyDeviceToHost);
  std::printf("3 / sqrt(mean of 3 * 3) is 1, in e4m3 0x38; rank 1 has 0x%02X\n", first);
} catch (const allnorm::Error& error) {
  std::printf("%s: %s\n", allnorm::to_string(error.code()), error.what());
}
