// A process that needs kernels, for tests which start many of them and kill some.
//
//   allnorm_fault_process TARGET COUNT [--no-locks]
//
// Waits for the end of its input, compiles as its environment says, and prints the SHA-256 of each binary in the order
// of the Specs, then how many it compiled itself. --no-locks: a disk that refuses locks.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "env/log.h"
#include "jit/compile_pool.h"
#include "kernels.h"

namespace {

using namespace allnorm;

class DiskWithoutLocks : public cache::FileSystem {
 protected:
  int sys_lock(int /*fd*/, std::int64_t /*first_byte*/, std::int64_t /*bytes*/) override {
    errno = ENOLCK;
    return -1;
  }
};

void wait_for_start() {
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

int run(const std::vector<std::string>& arguments) {
  const std::vector<Spec> specs =
      testing::some_specs(parse_target(arguments.at(0)), std::atoi(arguments.at(1).c_str()));
  static DiskWithoutLocks no_locks;
  wait_for_start();
  const Env env = Env::from_process();
  log::set_environment_level(env.log_level);
  KernelCompiler compiler(env, arguments.size() > 2 ? no_locks : cache::FileSystem::real());
  std::vector<std::string> digests(specs.size());
  const auto note = [&](const CompileStep& step) {
    for (std::size_t i = 0; i < specs.size(); i++) {
      if (specs[i] == step.spec) digests[i] = testing::digest_of(step.kernel);
    }
  };
  CompilePool{compiler, 2, note}.compile_all(specs);
  for (const std::string& digest : digests) std::printf("%s\n", digest.c_str());
  std::printf("%llu\n", static_cast<unsigned long long>(compiler.statistics().compiled));
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run({argv + 1, argv + argc}); } catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
