#include "comm/compared_call.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "dispatch/names.h"

namespace allnorm {
namespace {

constexpr std::uint32_t kNoStrategy = 0xFF;
/// Of a call that was refused for it.
constexpr std::uint32_t kInvalidNumber = 0xFFFFFFFF;

std::uint32_t to_word(std::int64_t number) {
  return number >= 0 && number < kInvalidNumber ? static_cast<std::uint32_t>(number) : kInvalidNumber;
}
std::string to_text(std::uint32_t number) {
  return number == kInvalidNumber ? "an invalid number" : fmt::format("{}", number);
}

/// What a rank's words say, each part by its name.
std::vector<std::pair<const char*, std::string>> parts_of(const ComparedWords& words) {
  const auto byte = [&](int shift) { return static_cast<std::uint8_t>(words[2] >> shift); };
  const bool has_strategy = byte(0) != kNoStrategy;
  return {{"tokens", to_text(words[0])},
          {"hidden_dim", to_text(words[1])},
          {"operation", to_string(static_cast<Operation>(byte(24)))},
          {"dtype", to_string(static_cast<DataType>(byte(16)))},
          {"quant", to_string(static_cast<Quant>(byte(8)))},
          {"strategy", has_strategy ? to_string(static_cast<Strategy>(byte(0))) : "none"}};
}

/// Nothing where they are not those of this call, or not all.
std::optional<ComparedWords> arrived(const allnorm_kernel::Control& control, std::uint64_t calls_before, int rank) {
  ComparedWords words{};
  for (std::size_t i = 0; i < words.size(); i++) {
    const std::uint64_t word = control.calls[calls_before & 1][rank].words[i];
    if (static_cast<std::uint32_t>(word >> 32) != allnorm_kernel::call_number(calls_before)) return std::nullopt;
    words[i] = static_cast<std::uint32_t>(word);
  }
  return words;
}

}  // namespace

ComparedWords compared_words(const Spec& spec, std::int64_t hidden_dim, std::int64_t tokens, bool refused) {
  const auto byte = [](auto value, int shift) { return static_cast<std::uint32_t>(value) << shift; };
  const std::uint32_t strategy = tokens == 0 ? kNoStrategy : static_cast<std::uint32_t>(spec.strategy);
  return {to_word(tokens), to_word(hidden_dim),
          byte(spec.operation, 24) | byte(spec.dtype, 16) | byte(spec.quant, 8) | (strategy & 0xFF),
          refused ? allnorm_kernel::kRefused : allnorm_kernel::kMade};
}

std::string describe_difference(const allnorm_kernel::Control& control, std::uint64_t calls_before, int rank,
                                int other_rank) {
  const auto ours = arrived(control, calls_before, rank);
  const auto theirs = arrived(control, calls_before, other_rank);
  if (!ours || !theirs) return fmt::format("those of rank {} and rank {} are not the same", rank, other_rank);
  const auto of_rank = parts_of(*ours);
  const auto of_other = parts_of(*theirs);
  std::string has;
  std::string other_has;
  for (std::size_t i = 0; i < of_rank.size(); i++) {
    if (of_rank[i].second == of_other[i].second) continue;
    has += fmt::format("{}{} {}", has.empty() ? "" : ", ", of_rank[i].first, of_rank[i].second);
    other_has += fmt::format("{}{} {}", other_has.empty() ? "" : ", ", of_other[i].first, of_other[i].second);
  }
  return fmt::format("rank {} has {}; rank {} has {}", rank, has, other_rank, other_has);
}

}  // namespace allnorm
