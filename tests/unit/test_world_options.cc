// Worlds that cannot be, and how the receive buffers of those that can are laid out.

#include "catch.h"
#include "comm/workspace_impl.h"
#include "error_of.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

WorldOptions options_for(std::size_t ranks) {
  WorldOptions options;
  for (std::size_t rank = 0; rank < ranks; ++rank) options.devices.push_back(static_cast<int>(rank));
  options.max_row_bytes = 8192;
  options.max_tokens_one_shot = 5;
  options.max_tokens_two_shot = 7;
  return options;
}

std::string refusal(const WorldOptions& options) {
  return error_of(ErrorCode::kInvalidArgument, [&] { Workspace::required_bytes(options); });
}

}  // namespace

TEST_CASE("a World has 1 to 72 ranks, and 8 on a GPU", "[workspace]") {
  CHECK(refusal(options_for(0)) == "devices: 0 ranks were given; 1 to 72 are allowed");
  CHECK(refusal(options_for(73)) == "devices: 73 ranks were given; 1 to 72 are allowed");
  CHECK(refusal(options_for(1)) == "");
  CHECK(refusal(options_for(72)) == "");
  WorldOptions options = options_for(2);
  options.devices.assign(8, 3);
  CHECK(refusal(options) == "");
  options.devices.push_back(3);
  CHECK(refusal(options) == "devices: GPU 3 was given 9 times; at most 8 virtual ranks fit on a GPU");
}

TEST_CASE("a World's rows are whole vectors, up to the largest row", "[workspace]") {
  WorldOptions options = options_for(2);
  for (const std::int64_t bytes : {-16, 0, 8, 8200, 262160}) {
    options.max_row_bytes = bytes;
    CHECK(refusal(options) ==
          "max_row_bytes: " + std::to_string(bytes) +
              " was given; a multiple of 16 up to 262144 is allowed (hidden_dim times the size of an element)");
  }
  for (const std::int64_t bytes : {16, 262144}) {
    options.max_row_bytes = bytes;
    CHECK(refusal(options) == "");
  }
  // A rank alone has no rows to receive.
  options.devices = {0};
  options.max_row_bytes = 0;
  options.max_tokens_one_shot = options.max_tokens_two_shot = 0;
  CHECK(refusal(options) == "");
}

TEST_CASE("a World holds tokens of one strategy at least", "[workspace]") {
  WorldOptions options = options_for(2);
  for (const std::int64_t tokens : {std::int64_t{-1}, std::int64_t{16777217}, std::int64_t{1} << 62}) {
    options.max_tokens_one_shot = tokens;
    const std::string wrong = ": " + std::to_string(tokens) + " was given; 0 to 16777216 is allowed";
    CHECK(refusal(options) == "max_tokens_one_shot" + wrong);
    options.max_tokens_one_shot = 5;
    options.max_tokens_two_shot = tokens;
    CHECK(refusal(options) == "max_tokens_two_shot" + wrong);
    options.devices = {0};
    CHECK(refusal(options) == "max_tokens_two_shot" + wrong);
    options = options_for(2);
  }
  options.max_tokens_one_shot = 0;
  CHECK(refusal(options) == "");
  options.max_tokens_two_shot = 0;
  CHECK(refusal(options) == "max_tokens_one_shot, max_tokens_two_shot: both are 0; one must be at least 1");
  options.max_tokens_one_shot = 1;
  CHECK(refusal(options) == "");
}

TEST_CASE("the regions of the receive buffers lie one after the other", "[workspace]") {
  const SymmetricLayout layout = SymmetricLayout::of(options_for(4));
  CHECK(layout.slot_bytes == 8192);
  CHECK(layout.one_shot.offset >= sizeof(allnorm_kernel::Control));
  CHECK(layout.one_shot.offset % 256 == 0);
  // Three buffers; a slot a rank for each one-shot row, and for each of the two rows that a rank owns of 7.
  constexpr std::uint64_t kRow = std::uint64_t{3} * 8192;
  CHECK(layout.scatter.offset - layout.one_shot.offset == 5 * (4 * kRow));
  CHECK(layout.broadcast.offset - layout.scatter.offset == 2 * (4 * kRow));
  CHECK(layout.total_bytes - layout.broadcast.offset == 7 * kRow);
  CHECK(Workspace::required_bytes(options_for(4)) == static_cast<std::int64_t>(layout.total_bytes));
}

TEST_CASE("a rank alone has no receive buffers", "[workspace]") {
  const SymmetricLayout layout = SymmetricLayout::of(options_for(1));
  CHECK(layout.total_bytes == layout.one_shot.offset);
}

TEST_CASE("the largest World's sizes are of 64 bits", "[workspace]") {
  WorldOptions options = options_for(72);
  options.max_row_bytes = 262144;
  options.max_tokens_one_shot = options.max_tokens_two_shot = 16777216;
  const SymmetricLayout layout = SymmetricLayout::of(options);
  constexpr std::uint64_t kRow = std::uint64_t{3} * 262144;
  CHECK(layout.scatter.offset - layout.one_shot.offset == 72 * kRow * 16777216);
  CHECK(layout.broadcast.offset - layout.scatter.offset == std::uint64_t{233017} * 72 * kRow);
  CHECK(layout.total_bytes - layout.broadcast.offset == 16777216 * kRow);
  CHECK(Workspace::required_bytes(options) > 0);
}
