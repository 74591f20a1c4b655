#include "gpu/report.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>

#include "gpu/gpu.h"

namespace allnorm::gpu_tests {
namespace {

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::int64_t setting(const char* name, std::int64_t fallback) {
  const std::string value = environment(name);
  return value.empty() ? fallback : std::stoll(value, nullptr, 0);
}

std::vector<int> list_setting(const char* name, const std::vector<int>& fallback) {
  std::istringstream value(environment(name));
  std::vector<int> list;
  for (std::string item; std::getline(value, item, ',');) list.push_back(std::stoi(item));
  return list.empty() ? fallback : list;
}

std::uint64_t test_seed() {
  const std::string value = environment("ALLNORM_TEST_SEED");
  return value.empty() ? std::random_device()() : std::stoull(value, nullptr, 0);
}

void report_json(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  if (const std::string path = environment("ALLNORM_TEST_JSON"); !path.empty()) {
    std::ofstream(path, std::ios::app) << line << "\n";
  }
}

bool skip(const std::string& reason) {
  if (!environment("ALLNORM_TEST_REQUIRE_ALL").empty()) throw std::runtime_error("cannot run: " + reason);
  std::printf("skipped: %s\n", reason.c_str());
  return false;
}

int gpus_of_world() { return static_cast<int>(setting("ALLNORM_TEST_GPUS", 2)); }

bool has_gpus(int count) {
  if (Gpu::count() >= count) return true;
  return skip("needs " + std::to_string(count) + " GPUs, there are " + std::to_string(Gpu::count()));
}

bool has_memory(std::size_t bytes) {
  if (Gpu::at(0).free_bytes() >= bytes) return true;
  return skip("needs " + std::to_string(bytes >> 30) + " GiB of free GPU memory");
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace allnorm::gpu_tests
