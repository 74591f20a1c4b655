#include "env/temporary_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace allnorm {
namespace {

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

TemporaryFolder::TemporaryFolder(const std::string& parent, ErrorCode code)
    : path_(parent + "/allnorm-XXXXXX"), code_(code) {
  if (::mkdtemp(path_.data()) == nullptr) {
    throw Error(code, fmt::format("no temporary folder can be made in {}: {}; set TMPDIR to a folder that you may "
                                  "write to",
                                  parent, std::strerror(errno)));
  }
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::operator/(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

void TemporaryFolder::write(std::string_view name, std::string_view first, std::string_view second) const {
  const std::string path = *this / name;
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool written = file >= 0 && write_all(file, first) && write_all(file, second);
  const int error = errno;
  if (file >= 0 && ::close(file) == 0 && written) return;
  throw Error(code_, fmt::format("{} cannot be written: {}; make room there, or set TMPDIR to another folder", path,
                                 std::strerror(written ? errno : error)));
}

}  // namespace allnorm
