// Every rule of the table's schema, by the message of the table that breaks it.
#include <string>

#include "catch.h"
#include "dispatch/json_tree.h"
#include "dispatch/table.h"
#include "error_of.h"
#include "table_text.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

std::string refusal(const std::string& text) {
  return error_of(ErrorCode::kInvalidTable, [&] { Table::parse(text, "t.json"); });
}

/// The error of the valid table with the first `from` replaced.
std::string refusal(const std::string& from, const std::string& to) { return refusal(table_with(from, to)); }

}  // namespace

TEST_CASE("text that is not JSON is refused with its line", "[table]") {
  // What follows is nlohmann's text, and may change with its version.
  const auto starts = [](const std::string& message, const std::string& start) {
    INFO(message);
    CHECK(message.rfind(start, 0) == 0);
    CHECK(message.find("json.exception") == message.npos);
    CHECK(message.find("column") == message.npos);
  };
  starts(refusal(""), "t.json:1: not JSON: syntax error while parsing value - unexpected end");
  starts(refusal("\"strategy\": \"two_shot\",", "\"strategy\" \"two_shot\","),
         "t.json:12: not JSON: syntax error while parsing object separator");
  starts(refusal("14,", "1e999,"), "t.json:12: not JSON: number overflow");
  starts(refusal("by hand", "by \xff hand"), "t.json:4: not JSON: syntax error");
  starts(refusal(kTableText + "{}"), "t.json:28: not JSON: syntax error");
  CHECK(refusal("by hand", "by \xff hand").find('\xff') == std::string::npos);
}

TEST_CASE("text that is too large, too deep or too long is refused, not worked on", "[table]") {
  CHECK(refusal(std::string(kMaxJsonBytes + 1, ' ')) == "t.json: 4194305 bytes given, allowed: up to 4194304");
  CHECK(refusal(std::string(1000000, '[')) == "t.json:1: nested more than 16 deep");
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":\n";
  CHECK(refusal(objects) == "t.json:17: nested more than 16 deep");
  std::string zeros = "[0";
  for (std::size_t i = 0; i < kMaxJsonValues; ++i) zeros += ",0";
  CHECK(refusal(zeros + "]") == "t.json:1: more than 500000 values");
}

TEST_CASE("the fields of a table are checked at every level", "[table]") {
  CHECK(refusal("[]") == "t.json:1: the table: an array given, allowed: an object");
  CHECK(refusal("\"schema\": 1,", "") == "t.json:1: schema: missing");
  CHECK(refusal("\"schema\": 1,", "\"schema\": 2, \"new\": 3,") ==
        "t.json:2: schema: 2 given, allowed: a whole number from 1 to 1");
  CHECK(refusal("\"schema\": 1,", "\"schema\": 1,\n\"shema\": 1,") ==
        "t.json:3: shema: unknown field, allowed: schema, provenance, entries");
  CHECK(refusal("\"schema\": 1,", "\"shema\":\n[]\n, \"schema\": 1,") ==
        "t.json:2: shema: unknown field, allowed: schema, provenance, entries");
  CHECK(refusal("\"schema\": 1,", "\"schema\": 1,\n\"schema\": 1,") == "t.json:3: schema: given twice, allowed: once");
  CHECK(refusal("\"driver\": \"580.95\", ", "") == "t.json:3: provenance.driver: missing");
  CHECK(refusal("\"tool\"", "\"t\\u0007ol\"") ==
        "t.json:4: provenance.t?ol: unknown field, allowed: device, driver, nvrtc, kernel_digest, "
        "date, tool");
  CHECK(refusal("\"transport\": \"unicast\",", "") == "t.json:6: entries[0].transport: missing");
  CHECK(refusal("\"operation\"", "\"op\"") ==
        "t.json:20: entries[1].op: unknown field, allowed: world_size, dtype, hidden_dim, quant, "
        "transport, bounds, operation, unclear");
  CHECK(refusal("\"max_tokens\": 256,", "") == "t.json:12: entries[0].bounds[1].max_tokens: missing");
  CHECK(refusal("\"ctas_per_row\"", "\"ctas\"") ==
        "t.json:11: entries[0].bounds[0].geometry.ctas: unknown field, allowed: ctas_per_row, "
        "warps_per_cta, chunks_per_warp");
}

TEST_CASE("the provenance is checked", "[table]") {
  CHECK(refusal("\"NVIDIA H200\"", "\"\"") ==
        "t.json:3: provenance.device: \"\" given, allowed: a string of 1 to 200 bytes");
  CHECK(refusal("\"13.0\"", "13.0") == "t.json:3: provenance.nvrtc: 13.0 given, allowed: a string of 1 to 200 bytes");
  CHECK(refusal("by hand", std::string(201, 'x')) ==
        "t.json:4: provenance.tool: \"" + std::string(200, 'x') + "...\" given, allowed: a string of 1 to 200 bytes");
  CHECK(refusal("2026-11-23", "23.11.2026") ==
        "t.json:4: provenance.date: \"23.11.2026\" given, allowed: a date such as 2026-11-23");
  CHECK(refusal("2026-11-23", "2026-11-231") ==
        "t.json:4: provenance.date: \"2026-11-231\" given, allowed: a date such as 2026-11-23");
}

TEST_CASE("the key of an entry is checked", "[table]") {
  CHECK(refusal("\"world_size\": 2", "\"world_size\": 73") ==
        "t.json:7: entries[0].world_size: 73 given, allowed: a whole number from 1 to 72");
  CHECK(refusal("\"world_size\": 2", "\"world_size\": 2.0") ==
        "t.json:7: entries[0].world_size: 2.0 given, allowed: a whole number from 1 to 72");
  CHECK(refusal("\"world_size\": 2", "\"world_size\": 4294967298") ==
        "t.json:7: entries[0].world_size: 4294967298 given, allowed: a whole number from 1 to 72");
  CHECK(refusal("\"bf16\"", "\"e4m3\"") == "t.json:7: entries[0].dtype: \"e4m3\" given, allowed: f32, f16, bf16");
  CHECK(refusal("\"bf16\"", "2") == "t.json:7: entries[0].dtype: 2 given, allowed: f32, f16, bf16");
  CHECK(refusal("\"fp8\"", "\"FP8\"") ==
        "t.json:7: entries[0].quant: \"FP8\" given, allowed: none, fp8, nvfp4, dynamic_fp8");
  CHECK(refusal("\"unicast\"", "null") == "t.json:8: entries[0].transport: null given, allowed: unicast, multicast");
  CHECK(refusal("\"all_reduce\"", "true") == "t.json:20: entries[1].operation: true given, allowed: all_reduce, fused");
  CHECK(refusal("\"none\"", "\"fp8\"") ==
        "t.json:19: entries[1].quant: \"fp8\" given, allowed: none, as the operation is all_reduce");
  CHECK(refusal("7168", "0") == "t.json:7: entries[0].hidden_dim: 0 given, allowed: a whole number from 1 to 65536");
  CHECK(refusal("7168", "7169") ==
        "t.json:7: entries[0].hidden_dim: 7169 given, allowed: multiples of 8 (16 bytes of bf16) up "
        "to 65536");
  CHECK(refusal("7168, \"quant\": \"fp8\"", "4552, \"quant\": \"nvfp4\"") ==
        "t.json:7: entries[0].hidden_dim: 4552 given, allowed: multiples of 16 (a block of nvfp4) "
        "up to 65536");
}

TEST_CASE("two entries for the same calls are refused", "[table]") {
  CHECK(refusal("\"dtype\": \"f32\", \"hidden_dim\": 4, \"quant\": \"none\",\n"
                "      \"transport\": \"multicast\", \"operation\": \"all_reduce\"",
                "\"dtype\": \"bf16\", \"hidden_dim\": 7168, \"quant\": \"fp8\",\n"
                "      \"transport\": \"unicast\", \"operation\": \"fused\"") ==
        "t.json:18: entries[1]: for the same calls as entries[0] in line 6, allowed: one entry for "
        "each kind");
}

TEST_CASE("the bounds of an entry are checked", "[table]") {
  const std::string at = "t.json:12: entries[0].bounds[1].";
  const std::string tokens = " given, allowed: a whole number from 1 to 1099511627776, or null";
  CHECK(refusal("256", "0") == at + "max_tokens: 0" + tokens);
  CHECK(refusal("256", "-1") == at + "max_tokens: -1" + tokens);
  CHECK(refusal("256", "256.5") == at + "max_tokens: 256.5" + tokens);
  CHECK(refusal("256", "\"256\"") == at + "max_tokens: \"256\"" + tokens);
  CHECK(refusal("256", "18446744073709551872") == at + "max_tokens: 18446744073709551872" + tokens);
  CHECK(refusal("256", "9223372036854775808") == at + "max_tokens: 9223372036854775808" + tokens);
  CHECK(refusal("256", "8") == at + "max_tokens: 8 given, allowed: more than 8, the bound before it");
  CHECK(refusal("256", "null") == at + "max_tokens: null given, allowed: null in the last bound only");
  CHECK(refusal("\"two_shot\"", "\"three_shot\"") ==
        at + "strategy: \"three_shot\" given, allowed: one_shot, two_shot");
  CHECK(refusal("\"two_shot\"", "\"auto\"") == at + "strategy: \"auto\" given, allowed: one_shot, two_shot");
  const std::string microseconds = " given, allowed: a number above 0, up to 1000000000";
  CHECK(refusal("14,", "0,") == at + "microseconds: 0" + microseconds);
  CHECK(refusal("14,", "-1.5,") == at + "microseconds: -1.5" + microseconds);
  CHECK(refusal("14,", "1e10,") == at + "microseconds: 1e10" + microseconds);
  CHECK(refusal("14,", "false,") == at + "microseconds: false" + microseconds);

  std::string empty = kTableText;
  const auto from = empty.rfind("\"bounds\": [");
  empty.replace(from, std::string::npos, "\"bounds\": []}]}");
  CHECK(refusal(empty) == "t.json:21: entries[1].bounds: an empty array given, allowed: one bound or more");
}

TEST_CASE("the geometry of a bound is checked against its row", "[table]") {
  const std::string at = "t.json:13: entries[0].bounds[1].geometry";
  const std::string geometry = "\"ctas_per_row\": 1, \"warps_per_cta\": 28, \"chunks_per_warp\": 1";
  const auto with = [&](const std::string& other) { return refusal(geometry, other); };
  CHECK(with("\"ctas_per_row\": 3, \"warps_per_cta\": 28, \"chunks_per_warp\": 1") ==
        at + ".ctas_per_row: 3 given, allowed: 1, 2, 4, 8");
  CHECK(with("\"ctas_per_row\": 9, \"warps_per_cta\": 28, \"chunks_per_warp\": 1") ==
        at + ".ctas_per_row: 9 given, allowed: 1, 2, 4, 8");
  CHECK(with("\"ctas_per_row\": 257, \"warps_per_cta\": 28, \"chunks_per_warp\": 1") ==
        at + ".ctas_per_row: 257 given, allowed: 1, 2, 4, 8");
  CHECK(with("\"ctas_per_row\": 1, \"warps_per_cta\": 33, \"chunks_per_warp\": 1") ==
        at + ".warps_per_cta: 33 given, allowed: a whole number from 1 to 32");
  CHECK(with("\"ctas_per_row\": 1, \"warps_per_cta\": 28, \"chunks_per_warp\": 17") ==
        at + ".chunks_per_warp: 17 given, allowed: a whole number from 1 to 16");
  CHECK(with("\"ctas_per_row\": 1, \"warps_per_cta\": 27, \"chunks_per_warp\": 1") ==
        at + ": 1 ctas_per_row x 27 warps_per_cta x 1 chunks_per_warp = 27 chunks given, allowed: at "
             "least 28 chunks, those of a row of 7168 bf16");
  CHECK(refusal("{" + geometry + "}", "[1, 28, 1]") == at + ": an array given, allowed: an object");
}

TEST_CASE("the line of a number is its own, whatever follows it", "[table]") {
  CHECK(refusal("\"max_tokens\": 8,", "\"max_tokens\":\n0\n\n\n,") ==
        "t.json:11: entries[0].bounds[0].max_tokens: 0 given, allowed: a whole number from 1 to "
        "1099511627776, or null");
  CHECK(refusal("\"max_tokens\": 8,", "\"max_tokens\":\n0,\n") ==
        "t.json:11: entries[0].bounds[0].max_tokens: 0 given, allowed: a whole number from 1 to "
        "1099511627776, or null");
  CHECK(refusal("\"max_tokens\": 8,", "\r\n\"max_tokens\": 0\r\n,") ==
        "t.json:11: entries[0].bounds[0].max_tokens: 0 given, allowed: a whole number from 1 to "
        "1099511627776, or null");
}
