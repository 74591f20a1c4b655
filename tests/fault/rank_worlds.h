// Worlds of processes over the stub driver: what their tests share.
#ifndef ALLNORM_TESTS_FAULT_RANK_WORLDS_H_
#define ALLNORM_TESTS_FAULT_RANK_WORLDS_H_

#include <functional>
#include <string>

#include "allnorm/bootstrap.h"
#include "allnorm/workspace.h"
#include "cache_fixture.h"

namespace allnorm::testing {

inline constexpr double kTimeoutSeconds = 5.0;

/// In a rank's process, before its Context: the stub for a driver, and its own folder for everything else.
void use_stub(const cache::test::Folder& folder, const std::string& failing = {});
/// What the stub's GPUs still hold; 0 where it was never loaded.
int stub_live();
/// The work's outcome, and what is left when it is over.
std::string with_leaks(const std::function<std::string()>& work);

HostGroup group_of(int rank, int world_size, const std::string& session = "world");
WorldOptions small_world();
char* memory_of(Workspace& workspace, int rank);
/// Each rank leaves its letter in everybody's memory, and then looks at who has been in its own: "ABC".
std::string visit_all(Bootstrap& bootstrap, World& world);

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_FAULT_RANK_WORLDS_H_
