// SpecRecorder: writes down which kernels a process needs, for `allnorm warm --manifest` (ALLNORM_RECORD_SPECS).
//
// A line of JSON for each Spec, once a process; several processes may write to one file. Any thread.
#ifndef ALLNORM_JIT_SPEC_RECORDER_H_
#define ALLNORM_JIT_SPEC_RECORDER_H_

#include <mutex>
#include <string>
#include <unordered_set>
#include <utility>

#include "cache/file_system.h"
#include "dispatch/spec.h"

namespace allnorm {

class SpecRecorder {
 public:
  /// An empty path records nothing. `files` outlives this object.
  SpecRecorder(std::string path, cache::FileSystem& files) : path_(std::move(path)), files_(files) {}

  /// What cannot be written is a warning in the log, once.
  void record(const Spec& spec);

 private:
  std::string path_;
  cache::FileSystem& files_;
  std::mutex mutex_;
  std::unordered_set<Spec, SpecHash> recorded_;
  bool failed_ = false;
};

}  // namespace allnorm

#endif  // ALLNORM_JIT_SPEC_RECORDER_H_
