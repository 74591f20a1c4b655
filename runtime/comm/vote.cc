#include "comm/vote.h"

#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <vector>

#include "allnorm/error.h"

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
    const auto code = static_cast<ErrorCode>(std::atoi(vote.c_str()));
    throw Error(code, fmt::format("rank {} could not {}: {}", rank, what, vote.substr(space + 1)));
  }
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
