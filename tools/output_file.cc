#include "output_file.h"

#include <fmt/format.h>

#include <fstream>

#include "command.h"

namespace allnorm::tools {

void write_output(const std::string& path, std::string_view bytes, const char* flag) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) {
    throw UsageError(fmt::format(
        "{}: \"{}\" cannot be written; name a file in a folder that exists and that you may write to", flag, path));
  }
}

}  // namespace allnorm::tools
