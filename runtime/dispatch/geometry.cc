#include "dispatch/geometry.h"

#include <fmt/format.h>

#include <algorithm>

namespace allnorm {
namespace {

constexpr int kVectorBytes = 16;
constexpr int kVectorsPerChunk = 32;
constexpr int kNvfp4Block = 16;

/// A spread row keeps a warp for each of the four schedulers of a multiprocessor; below that the
/// cluster's barriers cost more than the spreading gains.
constexpr int kMinWarpsOfSpreadRow = 4;
/// More chunks a warp are more registers, hence fewer warps, and a larger kernel that takes longer to compile.
struct ChunkLimits {
  int chunks_per_warp;
  int warps_of_several_chunks;
};
constexpr ChunkLimits kFewChunks = {2, 28};
constexpr ChunkLimits kManyChunks = {4, 16};
constexpr int kMaxTunedChunksPerWarp = 8;

/// Registers a thread of kernels that are compiled for CTAs of up to 512 threads (sm_90a, rounded up): they grow with
/// the peers whose vectors are loaded together.
constexpr int registers_of(int world_size) noexcept { return world_size <= 2 ? 64 : world_size <= 4 ? 80 : 104; }

constexpr int divide_up(int a, int b) noexcept { return (a + b - 1) / b; }

/// Rows that a GPU works on at once. Registers limit a multiprocessor's CTAs, and warps come by four. The CTAs of a
/// cluster lie close together, and of wide ones an eighth of the places stays empty: tuned on H200, 115 rows of 8192 in
/// clusters of 8 and 231 of 4096 in clusters of 4; of four ranks, 198 in clusters of 2.
constexpr std::int64_t resident_rows(int ctas, int warps, int world_size, int multiprocessors) noexcept {
  constexpr int kRegisters = 65536, kMaxWarps = 64;
  const int registers = registers_of(world_size) * divide_up(warps, 4) * 128;
  const int each = std::max(1, std::min(kMaxWarps / warps, kRegisters / registers));
  const std::int64_t places = std::int64_t{each} * multiprocessors;
  return (ctas >= 4 ? places * 7 / 8 : places) / ctas;
}

int chunks_of(int hidden_dim, DataType dtype) noexcept {
  const auto bytes = static_cast<std::int64_t>(hidden_dim) * static_cast<int>(size_of(dtype));
  constexpr std::int64_t kChunkBytes = kVectorBytes * kVectorsPerChunk;
  return static_cast<int>((bytes + kChunkBytes - 1) / kChunkBytes);
}

Geometry make_geometry(int ctas, int warps, int chunks) noexcept {
  return {static_cast<std::uint8_t>(ctas), static_cast<std::uint8_t>(warps), static_cast<std::uint8_t>(chunks)};
}

int hidden_dim_step(DataType dtype, Quant quant) noexcept {
  const int vector = kVectorBytes / static_cast<int>(size_of(dtype));
  return quant == Quant::kNvfp4 ? std::max(vector, kNvfp4Block) : vector;
}

}  // namespace

int vectors_per_row(int hidden_dim, DataType dtype) {
  const auto bytes = static_cast<std::int64_t>(hidden_dim) * static_cast<int>(size_of(dtype));
  return static_cast<int>((bytes + kVectorBytes - 1) / kVectorBytes);
}

int chunks_per_row(int hidden_dim, DataType dtype) { return chunks_of(hidden_dim, dtype); }

bool is_cluster_size(std::int64_t ctas_per_row) noexcept {
  return std::find(kClusterSizes.begin(), kClusterSizes.end(), ctas_per_row) != kClusterSizes.end();
}

int chunk_slots(const Geometry& geometry) noexcept {
  return geometry.ctas_per_row * geometry.warps_per_cta * geometry.chunks_per_warp;
}

bool covers_row(const Geometry& geometry, int hidden_dim, DataType dtype) noexcept {
  return chunk_slots(geometry) >= chunks_of(hidden_dim, dtype);
}

bool is_hidden_dim(std::int64_t hidden_dim, DataType dtype, Quant quant) noexcept {
  return hidden_dim > 0 && hidden_dim <= kMaxHiddenDim && hidden_dim % hidden_dim_step(dtype, quant) == 0;
}

std::string allowed_hidden_dims(DataType dtype, Quant quant) {
  const int step = hidden_dim_step(dtype, quant);
  const bool block = step * static_cast<int>(size_of(dtype)) > kVectorBytes;
  const std::string why = block ? "a block of nvfp4" : fmt::format("{} bytes of {}", kVectorBytes, to_string(dtype));
  return fmt::format("multiples of {} ({}) up to {}", step, why, kMaxHiddenDim);
}

std::string describe_chunks(const Geometry& geometry) {
  return fmt::format("{} ctas_per_row x {} warps_per_cta x {} chunks_per_warp = {} chunks", geometry.ctas_per_row,
                     geometry.warps_per_cta, geometry.chunks_per_warp, chunk_slots(geometry));
}

std::string allowed_chunks(int hidden_dim, DataType dtype) {
  return fmt::format("at least {} chunks, those of a row of {} {}", chunks_of(hidden_dim, dtype), hidden_dim,
                     to_string(dtype));
}

std::vector<Geometry> all_geometries(int hidden_dim, DataType dtype) {
  const int chunks = chunks_of(hidden_dim, dtype);
  std::vector<Geometry> geometries;
  for (const int ctas : kClusterSizes) {
    for (int per_warp = 1; per_warp <= kMaxTunedChunksPerWarp; ++per_warp) {
      const int warps = divide_up(chunks, ctas * per_warp);
      const int slots = ctas * warps * per_warp;
      if (warps > kMaxWarpsPerCta || 4 * slots > 5 * chunks) continue;
      geometries.push_back(make_geometry(ctas, warps, per_warp));
    }
  }
  return geometries;
}

Geometry default_geometry(int hidden_dim, DataType dtype, std::int64_t tokens, int world_size,
                          int multiprocessors) noexcept {
  const int chunks = chunks_of(hidden_dim, dtype);
  Geometry best = make_geometry(8, kMaxWarpsPerCta, kMaxChunksPerWarp);

  // Few tokens: latency counts, and multiprocessors are idle. The widest cluster, of those with the
  // least room to spare, such that all rows run at once; a chunk for each warp.
  bool found = false;
  for (const int ctas : kClusterSizes) {
    const int warps = divide_up(chunks, ctas);
    if (ctas == 1 || warps < kMinWarpsOfSpreadRow || warps > kMaxWarpsPerCta) continue;
    if (tokens > resident_rows(ctas, warps, world_size, multiprocessors)) continue;
    if (found && ctas * warps > chunk_slots(best)) continue;
    best = make_geometry(ctas, warps, 1);
    found = true;
  }
  if (found) return best;

  // Many tokens (or a short row): no cluster if a CTA can hold the row, else the smallest. The least
  // room to spare, then the fewest chunks a warp; more than two only where no cluster does without.
  for (const auto& limits : {kFewChunks, kManyChunks}) {
    for (const int ctas : kClusterSizes) {
      for (int per_warp = 1; per_warp <= limits.chunks_per_warp; ++per_warp) {
        const int warps = divide_up(chunks, ctas * per_warp);
        if (warps > (per_warp == 1 ? kMaxWarpsPerCta : limits.warps_of_several_chunks)) continue;
        if (found && ctas * warps * per_warp >= chunk_slots(best)) continue;
        best = make_geometry(ctas, warps, per_warp);
        found = true;
      }
      if (found) return best;
    }
  }
  return best;
}

}  // namespace allnorm
