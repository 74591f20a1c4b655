// A library that takes NVRTC's place: its "cubins" are bytes that depend on the source and the options and on nothing
// else, in no time, so that tests can compile by the thousand.
//
//   ALLNORM_STUB_COUNT   a file that gets a line, the program's name, for each compilation that begins
//   ALLNORM_STUB_MS      how long a compilation takes
//   ALLNORM_STUB_BYTES   how large a cubin is (600)
#include <fcntl.h>
#include <nvrtc.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

struct _nvrtcProgram {
  std::string source;
  std::string name;
  std::string cubin;
};

namespace {

std::size_t cubin_bytes() {
  const char* size = std::getenv("ALLNORM_STUB_BYTES");
  return size == nullptr ? 600 : static_cast<std::size_t>(std::atoll(size));
}

void mix(std::uint64_t& state, std::string_view text) {
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3;
}

std::string bytes_of(std::uint64_t state) {
  std::string bytes(cubin_bytes(), '\0');
  for (char& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<char>(state);
  }
  return bytes;
}

void count(std::string line) {
  const char* path = std::getenv("ALLNORM_STUB_COUNT");
  if (path == nullptr) return;
  line += '\n';
  const int file = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0 || ::write(file, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
  ::close(file);
}

nvrtcResult give(const std::string& text, std::size_t zero, std::size_t* size) {
  *size = text.size() + zero;
  return NVRTC_SUCCESS;
}

}  // namespace

nvrtcResult nvrtcVersion(int* major, int* minor) {
  *major = 13;
  *minor = 0;
  return NVRTC_SUCCESS;
}

const char* nvrtcGetErrorString(nvrtcResult /*result*/) { return "stub"; }

nvrtcResult nvrtcCreateProgram(nvrtcProgram* program, const char* source, const char* name, int /*headers*/,
                               const char* const* /*texts*/, const char* const* /*names*/) {
  *program = new _nvrtcProgram{source, name, {}};
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcDestroyProgram(nvrtcProgram* program) {
  delete *program;
  *program = nullptr;
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int count_of_options, const char* const* options) {
  count(program->name);
  if (const char* time = std::getenv("ALLNORM_STUB_MS")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(time)));
  }
  std::uint64_t state = 0xcbf29ce484222325;
  mix(state, program->source);
  for (int i = 0; i < count_of_options; i++) mix(state, options[i]);
  program->cubin = bytes_of(state | 1);
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram /*program*/, std::size_t* size) { return give("", 1, size); }

nvrtcResult nvrtcGetProgramLog(nvrtcProgram /*program*/, char* log) {
  *log = '\0';
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, std::size_t* size) { return give(program->cubin, 0, size); }

nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char* cubin) {
  std::memcpy(cubin, program->cubin.data(), program->cubin.size());
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetPTXSize(nvrtcProgram program, std::size_t* size) { return give(program->source, 1, size); }

nvrtcResult nvrtcGetPTX(nvrtcProgram program, char* ptx) {
  std::memcpy(ptx, program->source.c_str(), program->source.size() + 1);
  return NVRTC_SUCCESS;
}
