// A valid tuned table as text, for tests that break it.
#ifndef ALLNORM_TESTS_UNIT_TABLE_TEXT_H_
#define ALLNORM_TESTS_UNIT_TABLE_TEXT_H_

#include <stdexcept>
#include <string>

namespace allnorm::testing {

inline const std::string kTableText = R"({
  "schema": 1,
  "provenance": {"device": "NVIDIA H200", "driver": "580.95", "nvrtc": "13.0",
                 "kernel_digest": "d1", "date": "2026-11-23", "tool": "by hand"},
  "entries": [
    {
      "world_size": 2, "dtype": "bf16", "hidden_dim": 7168, "quant": "fp8",
      "transport": "unicast",
      "bounds": [
        {"max_tokens": 8, "strategy": "one_shot", "microseconds": 3.5,
         "geometry": {"ctas_per_row": 4, "warps_per_cta": 7, "chunks_per_warp": 1}},
        {"max_tokens": 256, "strategy": "two_shot", "microseconds": 14,
         "geometry": {"ctas_per_row": 1, "warps_per_cta": 28, "chunks_per_warp": 1}},
        {"max_tokens": null, "strategy": "one_shot", "microseconds": 1.65e2,
         "geometry": {"ctas_per_row": 1, "warps_per_cta": 14, "chunks_per_warp": 2}}
      ]
    },
    {
      "world_size": 2, "dtype": "f32", "hidden_dim": 4, "quant": "none",
      "transport": "multicast", "operation": "all_reduce",
      "bounds": [
        {"max_tokens": 1024, "strategy": "two_shot", "microseconds": 9,
         "geometry": {"ctas_per_row": 1, "warps_per_cta": 1, "chunks_per_warp": 1}}
      ]
    }
  ]
}
)";

/// The table with the first `from` replaced.
inline std::string table_with(const std::string& from, const std::string& to) {
  std::string text = kTableText;
  const auto at = text.find(from);
  if (at == std::string::npos) throw std::logic_error("not in the table: " + from);
  return text.replace(at, from.size(), to);
}

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_UNIT_TABLE_TEXT_H_
