#include <algorithm>
#include <set>

#include "catch.h"
#include "dispatch/geometry.h"
#include "dispatch/names.h"

using namespace allnorm;

namespace {

constexpr int kMultiprocessors = 132;

Geometry bf16_default(int hidden_dim, std::int64_t tokens, int world_size = 2) {
  return default_geometry(hidden_dim, DataType::kBF16, tokens, world_size, kMultiprocessors);
}

/// Calls `check` with rows of every number of chunks that there is.
template <typename Check>
void for_all_rows(const Check& check) {
  for (const DataType dtype : kRowDataTypes) {
    const int per_chunk = 512 / static_cast<int>(size_of(dtype));
    for (int hidden_dim = 16; hidden_dim <= kMaxHiddenDim; hidden_dim += per_chunk) {
      check(hidden_dim, dtype);
    }
  }
}

}  // namespace

TEST_CASE("few tokens spread a row over a cluster without idle warps", "[geometry]") {
  CHECK(bf16_default(7168, 1) == Geometry{4, 7, 1});   // 28 chunks: 8 x 4 has idle warps
  CHECK(bf16_default(8192, 1) == Geometry{8, 4, 1});   // 32
  CHECK(bf16_default(16384, 1) == Geometry{8, 8, 1});  // 64
  CHECK(bf16_default(2048, 1) == Geometry{2, 4, 1});   // 8: no CTA under 4 warps
  CHECK(bf16_default(1024, 1) == Geometry{1, 4, 1});   // 4: not worth a cluster
  CHECK(bf16_default(8, 1) == Geometry{1, 1, 1});
}

TEST_CASE("a row is spread only as far as all rows run at once", "[geometry]") {
  // A multiprocessor has room for eight such CTAs, but an eighth stays empty.
  CHECK(bf16_default(8192, 115) == Geometry{8, 4, 1});
  CHECK(bf16_default(8192, 116) == Geometry{2, 16, 1});  // 264 CTAs, two for each
  CHECK(bf16_default(8192, 132) == Geometry{2, 16, 1});
  CHECK(bf16_default(8192, 133) == Geometry{1, 32, 1});
  CHECK(bf16_default(4096, 231) == Geometry{4, 4, 1});
  CHECK(bf16_default(4096, 232) == Geometry{2, 8, 1});
  CHECK(bf16_default(4096, 265) == Geometry{1, 16, 1});
  // Kernels of more ranks need more registers.
  CHECK(bf16_default(7168, 86, 4) == Geometry{4, 7, 1});
  CHECK(bf16_default(7168, 87, 4) == Geometry{1, 28, 1});
  CHECK(bf16_default(4096, 173, 4) == Geometry{4, 4, 1});
  CHECK(bf16_default(4096, 198, 4) == Geometry{2, 8, 1});
  CHECK(bf16_default(4096, 199, 4) == Geometry{1, 16, 1});
  CHECK(bf16_default(8192, 57, 8) == Geometry{8, 4, 1});
  CHECK(bf16_default(8192, 58, 8) == Geometry{2, 16, 1});
}

TEST_CASE("many tokens have a CTA for each row that fits, else the smallest cluster", "[geometry]") {
  CHECK(bf16_default(7168, 4096) == Geometry{1, 28, 1});
  CHECK(bf16_default(14336, 4096) == Geometry{1, 28, 2});  // 56 chunks
  CHECK(bf16_default(16384, 4096) == Geometry{2, 32, 1});  // 64: two a warp only up to 28 warps
  CHECK(bf16_default(32768, 4096) == Geometry{4, 32, 1});  // 128
  CHECK(bf16_default(33024, 4096) == Geometry{4, 17, 2});  // 129
  CHECK(default_geometry(65536, DataType::kF32, 4096, 2, kMultiprocessors) == Geometry{8, 16, 4});
}

TEST_CASE("the default geometry fits every row and is a candidate of the tuner", "[geometry]") {
  for_all_rows([](int hidden_dim, DataType dtype) {
    const auto candidates = all_geometries(hidden_dim, dtype);
    for (const std::int64_t tokens : {1, 8, 33, 34, 66, 67, 115, 116, 132, 133, 265, 100000}) {
      const int world_size = tokens % 2 == 0 ? 8 : 2;
      const Geometry geometry = default_geometry(hidden_dim, dtype, tokens, world_size, kMultiprocessors);
      INFO(hidden_dim << " " << to_string(dtype) << " " << tokens << ": " << describe_chunks(geometry));
      Spec spec;
      spec.hidden_dim = hidden_dim;
      spec.dtype = spec.gamma_dtype = dtype;
      spec.geometry = geometry;
      REQUIRE_NOTHROW(check_spec(spec));
      REQUIRE(std::count(candidates.begin(), candidates.end(), geometry) == 1);
    }
  });
}

TEST_CASE("the candidates of a tuner are valid, distinct and few", "[geometry]") {
  for_all_rows([](int hidden_dim, DataType dtype) {
    const auto candidates = all_geometries(hidden_dim, dtype);
    REQUIRE(!candidates.empty());
    REQUIRE(candidates.size() <= 32);
    REQUIRE(std::set(candidates.begin(), candidates.end()).size() == candidates.size());
    for (const Geometry& geometry : candidates) {
      REQUIRE(covers_row(geometry, hidden_dim, dtype));
      REQUIRE(4 * chunk_slots(geometry) <= 5 * chunks_per_row(hidden_dim, dtype));
    }
  });
}
