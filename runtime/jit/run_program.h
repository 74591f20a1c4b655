// Runs a program to its end, without a shell, and keeps what it says. Several threads at once.
#ifndef ALLNORM_JIT_RUN_PROGRAM_H_
#define ALLNORM_JIT_RUN_PROGRAM_H_

#include <string>
#include <vector>

namespace allnorm {

struct Program {
  std::string path;  ///< Absolute.
  std::vector<std::string> arguments;
  std::string folder;            ///< Where it runs.
  std::string temporary_folder;  ///< Its TMPDIR.
  bool keep_errors = true;       ///< Whether stderr is kept as well as stdout.
};

struct ProgramEnd {
  bool succeeded = false;
  std::string how;     ///< "exit status 1", "killed by signal 9 (Killed)", "it cannot be run: Permission denied"
  std::string output;  ///< No more than its first 16 KiB, and a word on the rest.
};

/// The form that exec and posix_spawn take: null at the end, and good as long as the texts.
std::vector<char*> pointers_to(std::vector<std::string>& texts);

/// Never throws for what the program does. The program inherits the environment, but for the language of its messages
/// and for variables that would change what a compiler reads or writes.
ProgramEnd run_program(const Program& program);

}  // namespace allnorm

#endif  // ALLNORM_JIT_RUN_PROGRAM_H_
