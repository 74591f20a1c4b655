#include "cache_contents.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "cache/listing.h"
#include "cache/prebuilt_directory.h"

namespace allnorm::tools {
namespace {

using cache::ReadResult;
using cache::StoredFile;

/// Reasons begin with the path ("will not read PATH: it is a pipe"), which those who print them have printed.
std::string without_path(const std::string& reason, const std::string& path) {
  const std::size_t at = reason.find(path + ": ");
  return at == std::string::npos ? reason : reason.substr(at + path.size() + 2);
}

void sort_into(CacheContents& contents, std::vector<StoredFile> files) {
  const auto add = [&](const std::string& target, const std::string& key, const std::string& path,
                       std::int64_t bytes) -> StoredKernel& {
    StoredKernel& kernel = contents.kernels.emplace_back();
    kernel.target = target;
    kernel.key = key;
    kernel.path = path;
    kernel.bytes = bytes;
    return kernel;
  };
  std::unordered_map<std::string, StoredFile> entries;
  for (StoredFile& file : files) {
    switch (file.kind) {
      case StoredFile::Kind::kTemporary: contents.temporary.push_back(file.path); break;
      case StoredFile::Kind::kOther: contents.foreign.push_back(file.path); break;
      case StoredFile::Kind::kEntry:
        if (contents.place.prebuilt) {
          entries.emplace(file.path, std::move(file));
        } else {
          StoredKernel& kernel = add(file.target, file.key, file.path, file.bytes);
          kernel.last_use = file.id.mtime_seconds;
        }
    }
  }
  for (const cache::ManifestEntry& entry : contents.manifest.entries) {
    const std::string path = cache::entry_path(contents.place.directory, entry.target, entry.key);
    StoredKernel& kernel = add(entry.target, entry.key, path, entry.bytes);
    kernel.origin.spec = parse_spec_text(entry.spec);
    if (auto file = entries.extract(kernel.path)) kernel.last_use = file.mapped().id.mtime_seconds;
  }
  for (const auto& [path, file] : entries) contents.foreign.push_back(path);
  std::sort(contents.foreign.begin(), contents.foreign.end());
}

}  // namespace

CacheContents list_contents(const CachePlace& place) {
  CacheContents contents;
  contents.place = place;
  if (place.prebuilt) {
    cache::ManifestRead read = cache::read_manifest(place.directory, cache::FileSystem::real());
    contents.manifest = std::move(read.manifest);
    if (read.status != cache::ManifestRead::Status::kOk) contents.reasons.push_back(read.reason);
  }
  sort_into(contents, cache::list_files(place.directory, cache::FileSystem::real(), contents.reasons));
  return contents;
}

std::optional<cache::Entry> read_kernel(const CacheContents& contents, StoredKernel& kernel) {
  cache::FileSystem& files = cache::FileSystem::real();
  std::optional<cache::Entry> entry;
  std::string reason;
  if (contents.place.prebuilt) {
    const cache::ManifestEntry* expected = contents.manifest.find(kernel.target, kernel.key);
    if (expected != nullptr) entry = cache::read_manifest_entry(contents.place.directory, *expected, files, reason);
  } else {
    // As Store::get(), which does not say which file it read.
    const ReadResult file = files.read(kernel.path);
    reason = file.reason;
    kernel.id = file.id;
    kernel.disk_has_failed = file.status == ReadResult::Status::kFailed;
    if (file.status == ReadResult::Status::kOk) entry = cache::decode(file.bytes, kernel.key, reason);
  }
  if (!entry) {
    kernel.problem = without_path(reason, kernel.path);
    return std::nullopt;
  }
  const std::optional<Spec> of_manifest = kernel.origin.spec;
  kernel.origin = parse_origin(entry->provenance);
  if (!kernel.origin.spec) kernel.origin.spec = of_manifest;
  return entry;
}

CacheContents read_contents(const CachePlace& place) {
  CacheContents contents = list_contents(place);
  std::erase_if(contents.kernels, [&](StoredKernel& kernel) {
    const bool is_there = read_kernel(contents, kernel).has_value() || !kernel.problem.empty();
    return !is_there;
  });
  return contents;
}

}  // namespace allnorm::tools
