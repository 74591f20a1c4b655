#include "cache/listing.h"

#include <algorithm>

#include "cache/key.h"

namespace allnorm::cache {
namespace {

constexpr std::size_t kMaxTargetSize = 64;
constexpr std::string_view kEntryEnd = ".bin";

class Walk {
 public:
  Walk(const std::string& directory, FileSystem& files, std::vector<std::string>& reasons)
      : directory_(directory), files_(files), reasons_(reasons) {}

  std::vector<StoredFile> all() {
    for (const FolderItem& item : list(directory_)) {
      if (!item.is_folder && FileSystem::is_temporary(item.name)) add(directory_, item, {});
    }
    for (const FolderItem& target : list(directory_ + "/v1")) add_below(directory_ + "/v1", target, target.name);
    std::sort(found_.begin(), found_.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return std::move(found_);
  }

 private:
  /// <target>/<2 digits>/<file> and no deeper.
  void add_below(const std::string& folder, const FolderItem& item, const std::string& target, int depth = 0) {
    if (!item.is_folder || depth == 2) return add(folder, item, target);
    const std::string path = folder + "/" + item.name;
    for (const FolderItem& inner : list(path)) add_below(path, inner, target, depth + 1);
  }

  void add(const std::string& folder, const FolderItem& item, const std::string& target) {
    StoredFile file{StoredFile::Kind::kOther, folder + "/" + item.name, {}, {}, item.bytes, item.id};
    if (FileSystem::is_temporary(item.name)) {
      file.kind = StoredFile::Kind::kTemporary;
    } else if (item.name.ends_with(kEntryEnd)) {
      const std::string key = item.name.substr(0, item.name.size() - kEntryEnd.size());
      if (entry_path(directory_, target, key) == file.path) {
        file.kind = StoredFile::Kind::kEntry;
        file.target = target;
        file.key = key;
      }
    }
    found_.push_back(std::move(file));
  }

  std::vector<FolderItem> list(const std::string& path) {
    std::vector<FolderItem> items;
    std::string reason;
    if (!files_.list(path, items, reason)) reasons_.push_back(std::move(reason));
    return items;
  }

  const std::string& directory_;
  FileSystem& files_;
  std::vector<std::string>& reasons_;
  std::vector<StoredFile> found_;
};

}  // namespace

std::vector<StoredFile> list_files(const std::string& directory, FileSystem& files, std::vector<std::string>& reasons) {
  return Walk(directory, files, reasons).all();
}

bool is_target(std::string_view target) noexcept {
  return !target.empty() && target.size() <= kMaxTargetSize &&
         target.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string_view::npos;
}

std::string entry_path(const std::string& directory, std::string_view target, std::string_view key) {
  if (!is_target(target) || !is_key(key)) return {};
  std::string path = directory + "/v1/";
  path.append(target).append("/").append(key.substr(0, 2)).append("/").append(key).append(kEntryEnd);
  return path;
}

}  // namespace allnorm::cache
