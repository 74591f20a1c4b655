// From the start of a process to a verified kernel in memory, for one Spec: cold (an empty cache: NVRTC compiles) and
// warm (it is in the cache). No GPU is needed. A benchmark: it prints, and judges nothing.
//
//   allnorm_start_times --repeat 20 --json start.jsonl
//
// The program starts itself again for each measurement; the time is that from before the start to the child's word that
// the kernel is there (its digest was checked, and its bytes are a cubin).
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dispatch/geometry.h"
#include "jit/compiler.h"

namespace {

using namespace allnorm;
namespace fs = std::filesystem;

Spec measured_spec() {
  Spec spec;
  spec.quant = Quant::kFp8;
  spec.has_output = false;
  spec.pdl = Pdl::kEarlyTrigger;
  spec.world_size = 2;
  spec.hidden_dim = 7168;
  spec.geometry = default_geometry(spec.hidden_dim, spec.dtype, 16, spec.world_size, 132);
  return spec;
}

/// The child: exit code 0 if it has a cubin.
int fetch() {
  KernelCompiler compiler(Env::from_process());
  const CompiledKernel kernel = compiler.compile(measured_spec());
  constexpr unsigned char kElf[] = {0x7f, 'E', 'L', 'F'};
  const bool is_cubin =
      kernel.binary.size() > 1000 && std::equal(std::begin(kElf), std::end(kElf), kernel.binary.begin(),
                                                [](unsigned char a, std::byte b) { return std::byte{a} == b; });
  return is_cubin && kernel.from_disk_cache == (std::getenv("ALLNORM_EXPECT_WARM") != nullptr) ? 0 : 1;
}

double milliseconds_of_start(const char* program, const std::string& cache, bool warm) {
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("ALLNORM_CACHE_DIR", cache.c_str(), 1);
    ::setenv("ALLNORM_CACHE", "normal", 1);
    if (warm) ::setenv("ALLNORM_EXPECT_WARM", "1", 1);
    ::execl("/proc/self/exe", program, "--fetch", nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  if (status != 0) throw std::runtime_error("the child did not get its kernel");
  return took.count();
}

void print(const char* name, std::vector<double> times, std::ofstream& json) {
  std::sort(times.begin(), times.end());
  const auto quantile = [&](double part) {
    return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
  };
  fmt::print("{}: median {:.1f} ms, quartiles {:.1f} to {:.1f}, largest {:.1f}, {} starts\n", name, quantile(0.5),
             quantile(0.25), quantile(0.75), times.back(), times.size());
  if (!json.is_open()) return;
  json << nlohmann::ordered_json{{"benchmark", "start_times"}, {"cache", name},
                                 {"median_ms", quantile(0.5)}, {"quartiles_ms", {quantile(0.25), quantile(0.75)}},
                                 {"largest_ms", times.back()}, {"starts", times.size()}}
              .dump()
       << "\n";
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): a failure to print may end it
  CLI::App app("From the start of a process to a verified kernel in memory");
  int repeat = 20;
  bool is_child = false;
  std::string json_path;
  app.add_option("--repeat", repeat)->capture_default_str();
  app.add_flag("--fetch", is_child)->group("");
  app.add_option("--json", json_path, "append JSON lines to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    if (is_child) return fetch();
    std::string folder = (fs::temp_directory_path() / "allnorm_start_XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
    std::ofstream json;
    if (!json_path.empty()) json.open(json_path, std::ios::app);
    std::vector<double> cold;
    std::vector<double> warm;
    for (int i = 0; i < repeat; i++) {
      const std::string cache = folder + "/" + std::to_string(i);
      cold.push_back(milliseconds_of_start(argv[0], cache, false));
      warm.push_back(milliseconds_of_start(argv[0], cache, true));
    }
    fs::remove_all(folder);
    print("cold", cold, json);
    print("warm", warm, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "allnorm_start_times: {}\n", error.what());
    return 1;
  }
}
