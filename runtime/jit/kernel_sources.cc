#include "jit/kernel_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "allnorm/error.h"
#include "cache/key.h"

namespace allnorm {

KernelSources::KernelSources(const std::string& folder) {
  if (folder.empty()) {
    files_.assign(embedded_kernel_sources().begin(), embedded_kernel_sources().end());
  } else {
    std::error_code error;
    std::vector<std::filesystem::path> paths;
    for (const auto& item : std::filesystem::directory_iterator(folder, error)) {
      if (item.path().extension() == ".cuh") paths.push_back(item.path());
    }
    if (paths.empty()) {
      throw Error(ErrorCode::kCompiler, fmt::format("ALLNORM_KERNEL_DIR={} has no *.cuh files{}", folder,
                                                    error ? ": " + error.message() : ""));
    }
    std::sort(paths.begin(), paths.end());
    texts_.reserve(2 * paths.size());  // the views below must not move
    for (const auto& path : paths) {
      std::ifstream stream(path, std::ios::binary);
      const std::string& name = texts_.emplace_back(path.filename().string());
      const std::string& text =
          texts_.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
      if (!stream) throw Error(ErrorCode::kCompiler, fmt::format("cannot read {}", path.string()));
      files_.push_back({name, text});
    }
  }
  cache::KeyBuilder builder;
  for (const EmbeddedFile& file : files_) builder.add(file.name, file.text);
  digest_ = builder.finish().hex;
}

}  // namespace allnorm
