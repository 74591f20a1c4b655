// Runs the `allnorm` command as a user does, in a folder of its own.
#ifndef ALLNORM_TESTS_UNIT_COMMAND_H_
#define ALLNORM_TESTS_UNIT_COMMAND_H_

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "catch.h"

#ifdef ALLNORM_COMMAND

namespace allnorm::command_test {

namespace fs = std::filesystem;

/// A folder for what a test writes, and for the command's cache.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "allnorm_command_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Whether the command can start itself again; in QEMU it cannot.
inline bool can_start_programs() { return std::getenv("ALLNORM_TEST_NO_PROGRAMS") == nullptr; }

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

/// Without a driver, also where there is one. `environment`: what env(1) takes, which wins.
inline Outcome run(const std::string& arguments, const std::string& environment = "") {
  const Folder folder;
  // What NVRTC leaks is not ours, hence ASAN_OPTIONS.
  const std::string line = "env ALLNORM_DRIVER=/nonexistent/libcuda.so.1 ALLNORM_CACHE_DIR=" + (folder / "cache") +
                           " ASAN_OPTIONS=detect_leaks=0 env " + environment + " " ALLNORM_COMMAND " " + arguments +
                           " >" + (folder / "out") + " 2>" + (folder / "err") + " </dev/null";
  const int status = std::system(line.c_str());
  if (!WIFEXITED(status)) throw std::runtime_error("the command did not exit: " + line);  // also in threads
  return {WEXITSTATUS(status), read_file(folder / "out"), read_file(folder / "err")};
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

inline void check_refused(const std::string& arguments, const std::string& message) {
  INFO(arguments);
  const Outcome outcome = run(arguments);
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(outcome.out.empty());
  CHECK(contains(outcome.err, "allnorm: " + message));
  CHECK(contains(outcome.err, "--help`"));
}

}  // namespace allnorm::command_test

#endif  // ALLNORM_COMMAND

#endif  // ALLNORM_TESTS_UNIT_COMMAND_H_
