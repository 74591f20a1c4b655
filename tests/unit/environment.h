// What a test changes of the process, and changes back: variables, the log.
#ifndef ALLNORM_TESTS_UNIT_ENVIRONMENT_H_
#define ALLNORM_TESTS_UNIT_ENVIRONMENT_H_

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "allnorm/log.h"

namespace allnorm::testing {

/// A variable of the environment, set or (nullptr) unset for as long as this lives.
class Variable {
 public:
  Variable(std::string name, const char* value) : name_(std::move(name)) {
    if (const char* before = std::getenv(name_.c_str())) before_ = before;
    put(value);
  }
  ~Variable() { put(before_ ? before_->c_str() : nullptr); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void put(const char* value) {
    if (value == nullptr) {
      ::unsetenv(name_.c_str());
    } else {
      ::setenv(name_.c_str(), value, 1);
    }
  }

  std::string name_;
  std::optional<std::string> before_;
};

/// There is no CUDA driver, on any machine, and nobody says which device to use.
struct NoDriver {
  Variable driver{"ALLNORM_DRIVER", "/nonexistent/libcuda.so.1"};
  Variable device{"ALLNORM_DEVICE", nullptr};
};

/// Collects what is logged, from info on. Of one thread.
class LogCapture {
 public:
  LogCapture() {
    set_log_level(LogLevel::kInfo);
    set_log_sink([this](LogLevel level, std::string_view text) { messages_.emplace_back(level, text); });
  }
  ~LogCapture() {
    set_log_sink({});
    set_log_level(LogLevel::kWarn);
  }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  std::vector<std::string> of(LogLevel level) const {
    std::vector<std::string> texts;
    for (const auto& [each, text] : messages_) {
      if (each == level) texts.push_back(text);
    }
    return texts;
  }
  bool has(LogLevel level, const std::string& part) const {
    const std::vector<std::string> texts = of(level);
    return std::any_of(texts.begin(), texts.end(),
                       [&](const std::string& text) { return text.find(part) != std::string::npos; });
  }

 private:
  std::vector<std::pair<LogLevel, std::string>> messages_;
};

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_UNIT_ENVIRONMENT_H_
