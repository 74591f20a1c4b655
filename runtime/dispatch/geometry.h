// Geometries: how a row may be spread over CTAs and warps, which ones are worth measuring, and
// which one to take unmeasured. The bits of a result do not depend on the geometry, only its time
// does.
//
// Thread safety: everything here is stateless. What is noexcept neither allocates nor locks.
#ifndef ALLNORM_DISPATCH_GEOMETRY_H_
#define ALLNORM_DISPATCH_GEOMETRY_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "allnorm/types.h"
#include "dispatch/spec.h"

namespace allnorm {

/// Cluster sizes, ascending. 8 is the largest that every GPU with clusters can launch.
inline constexpr std::array<int, 4> kClusterSizes = {1, 2, 4, 8};
inline constexpr int kMaxWarpsPerCta = 32;
inline constexpr int kMaxChunksPerWarp = 16;

bool is_cluster_size(std::int64_t ctas_per_row) noexcept;

/// Chunks that a geometry has room for. It covers a row that has no more.
int chunk_slots(const Geometry& geometry) noexcept;
bool covers_row(const Geometry& geometry, int hidden_dim, DataType dtype) noexcept;

/// Whether kernels exist for rows of hidden_dim elements: whole vectors, whole NVFP4 blocks.
bool is_hidden_dim(std::int64_t hidden_dim, DataType dtype, Quant quant) noexcept;

/// For messages: what is_hidden_dim allows; what a geometry has room for; what a row needs.
std::string allowed_hidden_dims(DataType dtype, Quant quant);
std::string describe_chunks(const Geometry& geometry);
std::string allowed_chunks(int hidden_dim, DataType dtype);

/// The candidates of a tuner, all of which cover the row: every cluster size, 1 to 8 chunks a warp,
/// no more than a quarter more room than chunks. Never empty for a hidden_dim that is allowed.
std::vector<Geometry> all_geometries(int hidden_dim, DataType dtype);

/// The geometry to take where nothing was measured. `multiprocessors`: those of the GPU that this
/// rank may fill.
Geometry default_geometry(int hidden_dim, DataType dtype, std::int64_t tokens, int world_size,
                          int multiprocessors) noexcept;

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_GEOMETRY_H_
