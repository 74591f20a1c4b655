// What ranks do together or not at all: each takes a step, then all learn whether all of them could.
#ifndef ALLNORM_COMM_VOTE_H_
#define ALLNORM_COMM_VOTE_H_

#include <functional>
#include <string>
#include <string_view>

#include "allnorm/bootstrap.h"

namespace allnorm {

/// Runs `work` on this rank and waits for the others'. If it throws on any rank, every rank throws the error of the
/// lowest such rank, with its code and number: "rank 3 could not <what>: ...". What the step made is the caller's to
/// free.
void do_together(Bootstrap& bootstrap, std::string_view what, const std::function<void()>& work);

/// Throws kInvalidArgument unless there are 1 to 72 ranks, of which this is one: before anything is done together.
void check_place(const Bootstrap& bootstrap);

/// Throws kInvalidArgument on every rank, with the first two that differ, unless all have given the same value.
void check_agreement(Bootstrap& bootstrap, std::string_view name, const std::string& value);

/// What rank 0 has given, on every rank; of any length.
std::string from_rank_0(Bootstrap& bootstrap, const std::string& own);

}  // namespace allnorm

#endif  // ALLNORM_COMM_VOTE_H_
