// Spec: everything that a kernel is specialised for. A plain value, and the key of the Plans in memory.
#ifndef ALLNORM_DISPATCH_SPEC_H_
#define ALLNORM_DISPATCH_SPEC_H_

#include <compare>
#include <cstdint>
#include <string>

#include "allnorm/types.h"

namespace allnorm {

/// What a kernel is compiled for: a GPU architecture, or the CPU that the simulator runs on.
enum class Target : std::uint8_t { kSm90a, kSm100a, kSm103a, kSm120a, kHost };

/// How a value reaches all ranks: a store per peer, or one store to a multicast address.
enum class Transport : std::uint8_t { kUnicast, kMulticast };

/// Plain all-reduce; all-reduce + residual + RMSNorm + quantization. And two helpers: the comparison of calls that
/// comes before each of these in checked mode, and a store by multicast, to see whether it arrives.
enum class Operation : std::uint8_t { kAllReduce, kFused, kCompareCalls, kTestMulticast };

/// When a kernel lets its successor start (programmatic dependent launch).
enum class Pdl : std::uint8_t { kOff, kEarlyTrigger, kLateTrigger };

/// How a row is spread over threads. A vector is 16 bytes, a chunk 32 vectors (one for each lane of a warp);
/// ctas_per_row * warps_per_cta * chunks_per_warp chunks must cover the row. A cluster of ctas_per_row CTAs works on a
/// row, each warp on chunks_per_warp chunks of it.
struct Geometry {
  std::uint8_t ctas_per_row = 1;     ///< 1, 2, 4 or 8: the size of the cluster.
  std::uint8_t warps_per_cta = 1;    ///< 1 to 32.
  std::uint8_t chunks_per_warp = 1;  ///< 1 to 16.
  auto operator<=>(const Geometry&) const = default;
};

struct Spec {
  Target target = Target::kSm90a;
  Operation operation = Operation::kFused;
  Strategy strategy = Strategy::kOneShot;  ///< Never kAuto.
  Transport transport = Transport::kUnicast;
  DataType dtype = DataType::kBF16;        ///< f32, f16 or bf16.
  DataType gamma_dtype = DataType::kBF16;  ///< dtype or f32.
  Quant quant = Quant::kNone;
  ScaleLayout layout = ScaleLayout::kLinear;  ///< kLinear unless quant is NVFP4: one Spec for equal kernels.
  bool has_output = true;
  bool has_residual_out = true;
  bool zero_scale_padding = false;
  Pdl pdl = Pdl::kOff;
  std::uint8_t world_size = 1;
  Geometry geometry;
  std::int32_t hidden_dim = 0;
  auto operator<=>(const Spec&) const = default;
};

struct SpecHash {
  std::size_t operator()(const Spec& spec) const noexcept;
};

/// 16-byte vectors of a row, and chunks of 32 of them (the last may be partial).
int vectors_per_row(int hidden_dim, DataType dtype);
int chunks_per_row(int hidden_dim, DataType dtype);

/// "sm_90a", "host"; the inverse throws kInvalidArgument with the names that are allowed.
const char* to_string(Target target) noexcept;
const char* to_string(Transport transport) noexcept;
Target parse_target(const std::string& name);

/// One line, canonical and stable: the text that is hashed into cache keys and printed in messages.
std::string describe(const Spec& spec);

bool is_helper(Operation operation) noexcept;
/// A helper's kernel depends on nothing else.
Spec helper_spec(Operation operation, Target target, int world_size);

/// Throws kInvalidArgument if no kernel exists for the Spec (world_size, hidden_dim, dtypes, quant, geometry).
void check_spec(const Spec& spec);

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_SPEC_H_
