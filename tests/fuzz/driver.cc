// Runs a fuzzer: its corpus, then random edits of it.
//
//   allnorm_fuzz_<name> CORPUS [--runs N] [--seconds S] [--seed X] [--keep FOLDER]
//
// CORPUS: a folder of inputs. Inputs that take new ways through the parser are edited further; with --keep, few files
// that take all of these ways are written to the folder at the end. An input that fails is written to
// ./failed-<name>.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <unordered_set>
#include <vector>

#include "cache/sha256.h"
#include "coverage.h"
#include "mutate.h"
#include "target.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

using namespace allnorm::fuzz;
namespace fs = std::filesystem;

/// No input takes longer.
constexpr unsigned kHangSeconds = 30;
constexpr std::size_t kMostKept = 32;

struct Options {
  std::string corpus;
  std::uint64_t runs = 0;
  double seconds = 0;
  std::uint64_t seed = std::random_device()();
  std::string keep;
};

// For the handlers.
std::string program;
std::string current;

void save_current() {
  const std::string path = "failed-" + program;
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return;
  std::fwrite(current.data(), 1, current.size(), file);
  std::fclose(file);
  std::fprintf(stderr, "the input is in %s\n", path.c_str());
}

void on_signal(int signal) {
  std::fprintf(stderr, signal == SIGALRM ? "the parser hangs\n" : "signal %d\n", signal);
  save_current();
  ::_exit(1);
}

void watch_for_failures() {
  for (const int signal : {SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGSEGV}) ::signal(signal, on_signal);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(save_current);
}

class Fuzzer {
 public:
  explicit Fuzzer(const Options& options) : options_(options), random_(options.seed) {}

  void replay() {
    for (const std::string& seed : seeds()) run(seed, true);
    std::vector<fs::path> paths;
    for (const auto& item : fs::directory_iterator(options_.corpus)) paths.push_back(item.path());
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) {
      std::ifstream file(path, std::ios::binary);
      run({std::istreambuf_iterator<char>(file), {}}, true);
    }
    replayed_ = runs_;
  }

  void explore() {
    const auto end = Clock::now() + std::chrono::duration<double>(options_.seconds);
    const std::vector<std::string> words = tokens();
    for (std::uint64_t i = 0; i < options_.runs || (options_.seconds > 0 && Clock::now() < end); i++) {
      run(mutate(choose(), pool_, words, random_), false);
    }
  }

  void report() const {
    std::printf("%s: %llu inputs of the corpus, %llu edits, %llu accepted, %zu kept, %zu ways, seed %llu\n",
                program.c_str(), static_cast<unsigned long long>(replayed_),
                static_cast<unsigned long long>(runs_ - replayed_), static_cast<unsigned long long>(accepted),
                pool_.size(), seen_.size(), static_cast<unsigned long long>(options_.seed));
  }

  /// Always takes the input with the most ways that no other has shown yet.
  void keep() {
    fs::create_directories(options_.keep);
    std::unordered_set<Feature> shown;
    std::sort(pool_.begin(), pool_.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
    std::vector<std::vector<Feature>> ways;
    for (const std::string& input : pool_) ways.push_back(run_covered(input));
    for (std::size_t kept = 0; kept < kMostKept; kept++) {
      std::size_t best = 0;
      std::ptrdiff_t most = 0;
      for (std::size_t i = 0; i < ways.size(); i++) {
        const auto news =
            std::count_if(ways[i].begin(), ways[i].end(), [&](Feature way) { return !shown.contains(way); });
        if (news > most) {
          most = news;
          best = i;
        }
      }
      if (most == 0) break;
      shown.insert(ways[best].begin(), ways[best].end());
      const std::string name = allnorm::cache::to_hex(allnorm::cache::sha256(pool_[best])).substr(0, 16);
      std::ofstream(options_.keep + "/" + name, std::ios::binary) << pool_[best];
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  static std::vector<Feature> run_covered(const std::string& input) {
    begin_coverage();
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    return end_coverage();
  }

  /// Half of the time one that parses: most edits of others only meet the first check that failed.
  const std::string& choose() {
    const std::vector<std::string>& from = !parsed_.empty() && random_() % 2 == 0 ? parsed_ : pool_;
    return from[below(random_, from.size())];
  }

  void run(std::string input, bool is_given) {
    const std::uint64_t accepted_before = accepted;
    current = std::move(input);
    ::alarm(kHangSeconds);
    const std::vector<Feature> ways = run_covered(current);
    ::alarm(0);
    runs_++;
    bool is_new = is_given;
    for (const Feature way : ways) is_new |= seen_.insert(way).second;
    if (!is_new) return;
    pool_.push_back(current);
    if (accepted != accepted_before) parsed_.push_back(current);
  }

  const Options& options_;
  Random random_;
  std::vector<std::string> pool_;
  std::vector<std::string> parsed_;  ///< Those of the pool that parse.
  std::unordered_set<Feature> seen_;
  std::uint64_t runs_ = 0;
  std::uint64_t replayed_ = 0;
};

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  options.corpus = arguments.at(0);
  for (std::size_t i = 1; i < arguments.size(); i += 2) {
    const std::string& name = arguments[i];
    const std::string& value = arguments.at(i + 1);
    if (name == "--runs")
      options.runs = std::stoull(value);
    else if (name == "--seconds")
      options.seconds = std::stod(value);
    else if (name == "--seed")
      options.seed = std::stoull(value);
    else if (name == "--keep")
      options.keep = value;
    else
      throw std::invalid_argument("unknown option " + name);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) try {
  program = fs::path(argv[0]).filename().string();
  const Options options = parse({argv + 1, argv + argc});
  watch_for_failures();
  Fuzzer fuzzer(options);
  fuzzer.replay();
  fuzzer.explore();
  fuzzer.report();
  if (!options.keep.empty()) fuzzer.keep();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  save_current();
  return 1;
}
