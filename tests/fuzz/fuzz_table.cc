// Table::parse: gives a table whose bounds ascend and whose geometries cover their rows, or the documented error.
#include <string>
#include <string_view>

#include "allnorm/error.h"
#include "dispatch/geometry.h"
#include "dispatch/names.h"
#include "dispatch/table.h"
#include "table_text.h"
#include "target.h"

namespace {

using namespace allnorm;

/// Those that the seeds and small edits of them have.
template <typename Visit>
void for_each_key(Visit visit) {
  for (const Operation operation : kCallOperations) {
    for (const Transport transport : kTransports) {
      for (const Quant quant : kQuants) {
        for (const DataType dtype : kRowDataTypes) {
          for (const int world_size : {1, 2, 4, 8}) {
            for (const int hidden_dim : {4, 512, 7168}) {
              visit(TableKey{operation, transport, quant, dtype, world_size, hidden_dim});
            }
          }
        }
      }
    }
  }
}

void check(const Table& table) {
  for_each_key([&](const TableKey& key) {
    std::int64_t before = 0;
    for (const TableBound& bound : table.lookup(key)) {
      fuzz::require(bound.max_tokens > before, "bounds ascend");
      fuzz::require(covers_row(bound.geometry, key.hidden_dim, key.dtype), "geometries cover their rows");
      fuzz::require(bound.microseconds > 0, "times are positive");
      before = bound.max_tokens;
    }
  });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    check(Table::parse({reinterpret_cast<const char*>(data), size}, "fuzz.json"));
    fuzz::accepted++;
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::kInvalidTable, "the error is kInvalidTable");
    fuzz::require(std::string_view(error.what()).starts_with("fuzz.json:"), "the error names the file");
  }
  return 0;
}

namespace allnorm::fuzz {

std::vector<std::string> seeds() { return {testing::kTableText}; }

std::vector<std::string> tokens() {
  return {"\"operation\": ",  "\"all_reduce\"",   "\"fused\"",        "\"quant\": ",     "\"none\"",
          "\"fp8\"",          "\"nvfp4\"",        "\"dynamic_fp8\"",  "\"transport\": ", "\"multicast\"",
          "\"unicast\"",      "\"bounds\": ",     "\"max_tokens\": ", "\"two_shot\"",    "\"one_shot\"",
          "\"geometry\": ",   "\"hidden_dim\": ", "\"dtype\": ",      "\"f32\"",         "\"f16\"",
          "\"world_size\": ", "1099511627776",    "\"2026-11-23\""};
}

}  // namespace allnorm::fuzz
