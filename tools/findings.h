// What `allnorm doctor` finds: a status, what there is, and what to do if that is wrong.
#ifndef ALLNORM_TOOLS_FINDINGS_H_
#define ALLNORM_TOOLS_FINDINGS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace allnorm::tools {

/// kFail: a fused call cannot run here. kWarn: it can, but something is not as it should be.
enum class Status : std::uint8_t { kOk, kInfo, kWarn, kFail };
const char* to_string(Status status) noexcept;

struct Finding {
  Status status;
  std::string topic;   ///< "driver"
  std::string found;   ///< "libcuda.so.1, supports CUDA 13.0"
  std::string advice;  ///< Empty where there is nothing to do.
};

class Findings {
 public:
  void add(Status status, std::string topic, std::string found, std::string advice = "") {
    list_.push_back({status, std::move(topic), std::move(found), std::move(advice)});
  }
  /// An error's message: what is wrong, and after its last "; " what to do.
  void add_error(Status status, std::string topic, const std::string& message);

  const std::vector<Finding>& list() const noexcept { return list_; }
  int count(Status status) const noexcept;
  /// Columns: status, topic and what was found, advice.
  std::string to_text() const;

 private:
  std::vector<Finding> list_;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_FINDINGS_H_
