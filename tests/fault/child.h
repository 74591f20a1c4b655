// Children: processes of allnorm_fault_process that start together, and may be killed.
#ifndef ALLNORM_TESTS_FAULT_CHILD_H_
#define ALLNORM_TESTS_FAULT_CHILD_H_

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "cache_fixture.h"

namespace allnorm::testing {

using Variables = std::map<std::string, std::string>;

/// What children wait for: they hold the other end.
class Gate {
 public:
  Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate();
  /// Lets all go at once.
  void open();
  int waiting_end() const { return read_; }

 private:
  int read_ = -1;
  int write_ = -1;
};

class Child {
 public:
  /// What the child says; nothing of it if it did not end well.
  struct End {
    bool well = false;
    bool killed = false;  ///< By the SIGKILL of kill().
    std::vector<std::string> digests;
    int compiled = -1;
  };

  /// With these variables, and none of the library's that the parent may have.
  Child(std::vector<std::string> arguments, const Variables& variables, const Gate& gate);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  void kill() const;
  /// Kills it after a time that no healthy child needs.
  End wait(std::chrono::milliseconds limit = std::chrono::seconds(60));

 private:
  void reap();

  pid_t pid_ = -1;
  int output_ = -1;
  int status_ = 0;
};

/// One that starts at once, and its end.
Child::End run_child(const std::vector<std::string>& arguments, const Variables& variables,
                     std::chrono::milliseconds limit = std::chrono::seconds(60));

/// The stub of NVRTC and a stub of a C++ compiler; a cache, and files to count compilations and for temporary files, in
/// the folder. A compilation takes so many milliseconds.
Variables stub_variables(const cache::test::Folder& folder, int milliseconds);

/// How often something was compiled, by name, with the stubs.
std::map<std::string, int> counted(const cache::test::Folder& folder);

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_FAULT_CHILD_H_
