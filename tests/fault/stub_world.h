// Worlds of processes over the stub of the driver: memory that ranks share, and nothing that runs in it.
#ifndef ALLNORM_TESTS_FAULT_STUB_WORLD_H_
#define ALLNORM_TESTS_FAULT_STUB_WORLD_H_

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <string>

#include "allnorm/bootstrap.h"
#include "allnorm/workspace.h"
#include "cache_fixture.h"
#include "comm/workspace_impl.h"

namespace allnorm::testing {

/// In a rank's process, before its Context: the stub for a driver, and its own folder for everything else.
inline void use_stub(const cache::test::Folder& folder, const std::string& failing = {}) {
  ::setenv("ALLNORM_DRIVER", ALLNORM_STUB_DRIVER, 1);
  ::setenv("ALLNORM_CACHE", "off", 1);
  ::setenv("ALLNORM_LOG", "off", 1);
  ::setenv("TMPDIR", folder.path().c_str(), 1);
  if (!failing.empty()) ::setenv("ALLNORM_STUB_FAIL", failing.c_str(), 1);
}

/// What the stub's GPUs still hold; 0 where it was never loaded.
inline int stub_live() {
  void* library = ::dlopen(ALLNORM_STUB_DRIVER, RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return 0;
  const int live = reinterpret_cast<int (*)()>(::dlsym(library, "allnorm_stub_live"))();
  ::dlclose(library);
  return live;
}

inline WorldOptions small_world() {
  WorldOptions options;
  options.max_row_bytes = 4096;
  options.max_tokens_one_shot = 4;
  options.max_tokens_two_shot = 4;
  return options;
}

inline char* memory_of(Workspace& workspace, int rank) { return workspace.impl().params.symmetric[rank]; }

/// Each rank leaves its number in everybody's memory, and then looks at who has been in its own.
inline std::string visit_all(Bootstrap& bootstrap, World& world) {
  Workspace& own = world.own();
  const std::uint64_t place = own.impl().layout.one_shot.offset;
  const int ranks = bootstrap.world_size();
  for (int rank = 0; rank < ranks; rank++)
    memory_of(own, rank)[place + bootstrap.rank()] = static_cast<char>('A' + bootstrap.rank());
  bootstrap.barrier();
  return {memory_of(own, bootstrap.rank()) + place, static_cast<std::size_t>(ranks)};
}

/// The work's outcome, and what is left when it is over.
inline std::string with_leaks(const std::function<std::string()>& work) {
  std::string text;
  try {
    text = work();
  } catch (const std::exception& error) {
    text = std::string("error: ") + error.what();
  }
  const int live = stub_live();
  return live == 0 ? text : fmt::format("{} ({} things of the driver's are left)", text, live);
}

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_FAULT_STUB_WORLD_H_
