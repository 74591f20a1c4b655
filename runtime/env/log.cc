#include "env/log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <condition_variable>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>

namespace allnorm {
namespace {

constexpr int kNotSet = -1;
constexpr const char* kNames[] = {"trace", "debug", "info", "warn", "error", "off"};

std::atomic<int> environment_level{static_cast<int>(LogLevel::kWarn)};
std::atomic<int> program_level{kNotSet};

// A sink that makes AllNorm log would recurse without end.
thread_local bool inside_sink = false;

spdlog::level::level_enum to_spdlog(LogLevel level) {
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::trace, spdlog::level::debug, spdlog::level::info,
                                                   spdlog::level::warn,  spdlog::level::err,   spdlog::level::off};
  return kLevels[static_cast<int>(level)];
}

LogLevel from_spdlog(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace: return LogLevel::kTrace;
    case spdlog::level::debug: return LogLevel::kDebug;
    case spdlog::level::info: return LogLevel::kInfo;
    case spdlog::level::warn: return LogLevel::kWarn;
    default: return LogLevel::kError;
  }
}

/// Hands a message to the program's sink, or to stderr where there is none. No lock is held while
/// the sink runs, so that one which waits for another logging thread (a Python one, for the
/// interpreter lock) cannot hang. Not a shared_mutex: busy loggers would keep replace() waiting for
/// ever.
class RoutingSink final : public spdlog::sinks::sink {
 public:
  RoutingSink() { stderr_.set_pattern("allnorm [%l] %v"); }

  void replace(LogSink next) {
    auto slot = std::make_unique<Slot>();
    slot->sink = std::move(next);
    std::unique_lock lock(mutex_);
    slot.swap(current_);
    idle_.wait(lock, [&] { return slot->running == 0; });
    lock.unlock();
    // The old sink is destroyed here, outside the lock: its destructor is the program's code.
  }

  void log(const spdlog::details::log_msg& message) override {
    const Use use(*this);
    if (use.slot->sink) {
      use.slot->sink(from_spdlog(message.level), {message.payload.data(), message.payload.size()});
    } else {
      stderr_.log(message);
    }
  }

  void flush() override { stderr_.flush(); }
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  struct Slot {
    LogSink sink;
    int running = 0;
  };

  /// A call of the current sink, counted for replace().
  struct Use {
    explicit Use(RoutingSink& sink) : owner(sink) {
      const std::lock_guard lock(owner.mutex_);
      slot = owner.current_.get();
      ++slot->running;
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() {
      const std::lock_guard lock(owner.mutex_);
      if (--slot->running == 0) owner.idle_.notify_all();
    }
    RoutingSink& owner;
    Slot* slot;  // Lives until replace() has seen running == 0.
  };

  std::mutex mutex_;
  std::condition_variable idle_;
  std::unique_ptr<Slot> current_ = std::make_unique<Slot>();
  spdlog::sinks::stderr_sink_mt stderr_;
};

struct Logger {
  std::shared_ptr<RoutingSink> sink = std::make_shared<RoutingSink>();
  spdlog::logger logger{"allnorm", sink};

  Logger() {
    logger.set_level(spdlog::level::trace);  // Levels are checked by enabled(), before formatting.
    logger.set_error_handler([](const std::string&) {});
  }
};

// Never destroyed, so that destructors of other static objects can still log.
Logger& logger() {
  static Logger* const instance = new Logger;
  return *instance;
}

}  // namespace

const char* to_string(LogLevel level) noexcept {
  const auto index = static_cast<std::size_t>(level);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

void set_log_sink(LogSink sink) {
  if (inside_sink) return;
  logger().sink->replace(std::move(sink));
}

void set_log_level(LogLevel level) noexcept { program_level.store(static_cast<int>(level), std::memory_order_relaxed); }

namespace log {

bool enabled(LogLevel level) noexcept {
  int threshold = program_level.load(std::memory_order_relaxed);
  if (threshold == kNotSet) threshold = environment_level.load(std::memory_order_relaxed);
  return level < LogLevel::kOff && static_cast<int>(level) >= threshold;
}

void set_environment_level(LogLevel level) noexcept {
  environment_level.store(static_cast<int>(level), std::memory_order_relaxed);
}

void write(LogLevel level, std::string_view message) noexcept {
  if (!enabled(level) || inside_sink) return;
  inside_sink = true;
  try {
    logger().logger.log(to_spdlog(level), spdlog::string_view_t(message.data(), message.size()));
  } catch (...) {  // A lost message is better than a lost call.
  }
  inside_sink = false;
}

void write_formatted(LogLevel level, fmt::string_view format, fmt::format_args arguments) noexcept {
  try {
    fmt::memory_buffer text;
    fmt::vformat_to(std::back_inserter(text), format, arguments);
    write(level, {text.data(), text.size()});
  } catch (...) {
  }
}

}  // namespace log
}  // namespace allnorm
