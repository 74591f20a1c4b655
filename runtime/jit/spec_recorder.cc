#include "jit/spec_recorder.h"

#include "dispatch/spec_text.h"
#include "env/log.h"

namespace allnorm {

void SpecRecorder::record(const Spec& spec) {
  if (path_.empty()) return;
  const std::lock_guard lock(mutex_);
  if (failed_ || !recorded_.insert(spec).second) return;
  std::string reason;
  if (files_.append_line(path_, to_json(spec), reason)) return;
  failed_ = true;
  log::warn("ALLNORM_RECORD_SPECS: {}; this process records no more kernels", reason);
}

}  // namespace allnorm
