// HostCompiler: the system's C++ compiler, for the target `host`: C++ in, a shared object out.
//
// Immutable once found; compile() may run in several threads at once.
#ifndef ALLNORM_JIT_HOST_COMPILER_H_
#define ALLNORM_JIT_HOST_COMPILER_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "env/env.h"
#include "jit/embedded.h"

namespace allnorm {

class HostCompiler {
 public:
  /// What a compilation gave.
  struct Result {
    std::vector<std::byte> library;
    std::string log;
  };

  /// env.cxx_path if it is set, else c++, g++ or clang++ on env.search_path, the first that runs. Throws kCompiler if
  /// there is none.
  static std::shared_ptr<const HostCompiler> find(const Env& env);

  /// Absolute.
  const std::string& path() const noexcept { return path_; }
  /// "g++ (Debian 12.2.0-14) 12.2.0, x86_64-linux-gnu": another one for another compiler.
  const std::string& identity() const noexcept { return identity_; }

  /// Throws kCompiler with what the compiler says, or if there is no room for its files. `name` and the names of
  /// `headers`, without folders, are what __FILE__ gives; the headers are what #include finds.
  Result compile(const std::string& source, const std::string& name, std::span<const EmbeddedFile> headers,
                 const std::vector<std::string>& options) const;

 private:
  /// Throws kCompiler if the program does not say what it is.
  HostCompiler(std::string path, std::string temporary_dir);
  std::string ask(const char* option) const;

  std::string path_;
  std::string temporary_dir_;
  std::string identity_;
};

}  // namespace allnorm

#endif  // ALLNORM_JIT_HOST_COMPILER_H_
