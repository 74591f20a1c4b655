#include "comm/vote.h"

#include <fmt/format.h>

#include <charconv>
#include <exception>
#include <vector>

#include "allnorm/error.h"
#include "allnorm/types.h"

namespace allnorm {
namespace {

/// A vote: empty, or a code, a space and a message.
std::string vote_of(const std::function<void()>& work) {
  const auto failed = [](ErrorCode code, const char* message) {
    return fmt::format("{} {}", static_cast<int>(code), message).substr(0, Bootstrap::kMaxBytes);
  };
  try {
    work();
    return {};
  } catch (const Error& error) {
    return failed(error.code(), error.what());
  } catch (const std::exception& error) {
    return failed(ErrorCode::kPeer, error.what());
  }
}

}  // namespace

void do_together(Bootstrap& bootstrap, std::string_view what, const std::function<void()>& work) {
  const std::vector<std::string> votes = bootstrap.all_gather(vote_of(work));
  for (std::size_t rank = 0; rank < votes.size(); rank++) {
    const std::string& vote = votes[rank];
    if (vote.empty()) continue;
    const std::size_t space = vote.find(' ');
    int number = 0;
    const auto [stop, error] = std::from_chars(vote.data(), vote.data() + vote.size(), number);
    if (error != std::errc() || number <= 0 || space == std::string::npos || stop != vote.data() + space) {
      throw Error(ErrorCode::kPeer, fmt::format("rank {} does something else than to {}", rank, what));
    }
    const auto code = static_cast<ErrorCode>(number);
    throw Error(code, fmt::format("rank {} could not {}: {}", rank, what, vote.substr(space + 1)));
  }
}

std::string from_rank_0(Bootstrap& bootstrap, const std::string& own) {
  // In pieces, since a gather takes no more; one that is not full is the last.
  std::string all;
  std::string piece;
  do {
    piece = bootstrap.all_gather(bootstrap.rank() == 0 ? own.substr(all.size(), Bootstrap::kMaxBytes) : "").front();
    all += piece;
  } while (piece.size() == Bootstrap::kMaxBytes);
  return all;
}

void check_place(const Bootstrap& bootstrap) {
  const int ranks = bootstrap.world_size();
  if (ranks >= 1 && ranks <= kMaxWorldSize && bootstrap.rank() >= 0 && bootstrap.rank() < ranks) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("rank, world_size: {}, {} were given; allowed are 1 to {} ranks, and one of them",
                          bootstrap.rank(), ranks, kMaxWorldSize));
}

void check_agreement(Bootstrap& bootstrap, std::string_view name, const std::string& value) {
  const std::vector<std::string> values = bootstrap.all_gather(value);
  for (std::size_t rank = 1; rank < values.size(); rank++) {
    if (values[rank] == values[0]) continue;
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: rank 0 has {} and rank {} has {}; allowed: the same on all ranks", name, values[0],
                            rank, values[rank]));
  }
}

}  // namespace allnorm
