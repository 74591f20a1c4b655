// TemporaryFolder: a private folder for files of a moment, gone with the object.
//
// Used by one thread at a time.
#ifndef ALLNORM_ENV_TEMPORARY_FOLDER_H_
#define ALLNORM_ENV_TEMPORARY_FOLDER_H_

#include <string>
#include <string_view>

#include "allnorm/error.h"

namespace allnorm {

class TemporaryFolder {
 public:
  /// In `parent`, for nobody else. Throws an Error of this code, here and in write().
  TemporaryFolder(const std::string& parent, ErrorCode code);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const noexcept { return path_; }
  std::string operator/(std::string_view name) const;
  /// A new file of two texts, one after the other.
  void write(std::string_view name, std::string_view first, std::string_view second = {}) const;

 private:
  std::string path_;
  ErrorCode code_;
};

}  // namespace allnorm

#endif  // ALLNORM_ENV_TEMPORARY_FOLDER_H_
