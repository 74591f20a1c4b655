#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "allnorm/log.h"
#include "catch.h"
#include "env/log.h"

namespace {

using allnorm::LogLevel;
namespace log = allnorm::log;

/// Counts how often it is formatted.
struct Counted {
  int* formatted;
};
struct Unprintable {};

/// The state of a fresh process, seen before any test runs: a program's level cannot be taken back.
struct AtStart {
  bool warn = log::enabled(LogLevel::kWarn);
  bool info = log::enabled(LogLevel::kInfo);
  bool debug_by_environment = [] {
    log::set_environment_level(LogLevel::kDebug);
    const bool debug = log::enabled(LogLevel::kDebug);
    log::set_environment_level(LogLevel::kWarn);
    return debug;
  }();
};
const AtStart at_start;

using Messages = std::vector<std::pair<LogLevel, std::string>>;

/// Each test leaves the log as a program finds it, but for the level: nothing unsets a program's
/// choice.
struct Restore {
  Restore() = default;
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;
  ~Restore() {
    allnorm::set_log_sink({});
    allnorm::set_log_level(LogLevel::kWarn);
  }
};

allnorm::LogSink collect(Messages& messages) {
  return [&messages](LogLevel level, std::string_view text) {
    messages.emplace_back(level, std::string(text));
  };
}

/// What `body` writes to stderr.
template <typename Body>
std::string stderr_of(Body body) {
  std::fflush(stderr);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  ::close(ends[1]);
  body();
  std::fflush(stderr);
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  std::string text;
  char buffer[256];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  return text;
}

}  // namespace

template <>
struct fmt::formatter<Counted> : fmt::formatter<int> {
  template <typename Context>
  auto format(const Counted& counted, Context& context) const {
    return fmt::format_to(context.out(), "{}", ++*counted.formatted);
  }
};

template <>
struct fmt::formatter<Unprintable> : fmt::formatter<int> {
  template <typename Context>
  auto format(const Unprintable&, Context& context) const -> decltype(context.out()) {
    throw 42;  // Not even a std::exception.
  }
};

TEST_CASE("the environment's level holds until the program sets one") {
  const Restore restore;
  CHECK(at_start.warn);
  CHECK_FALSE(at_start.info);
  CHECK(at_start.debug_by_environment);
  allnorm::set_log_level(LogLevel::kError);
  log::set_environment_level(LogLevel::kTrace);
  CHECK_FALSE(log::enabled(LogLevel::kWarn));
  CHECK(log::enabled(LogLevel::kError));
  log::set_environment_level(LogLevel::kWarn);
}

TEST_CASE("messages reach the program's sink with their level and nothing added") {
  const Restore restore;
  Messages messages;
  allnorm::set_log_sink(collect(messages));
  allnorm::set_log_level(LogLevel::kTrace);
  log::trace("t{}", 0);
  log::debug("d{}", 1);
  log::info("i{}", 2);
  log::warn("w{}", 3);
  log::error("e{} {}", 4, "x");
  log::write(LogLevel::kInfo, "{} %v");
  CHECK(messages == Messages{{LogLevel::kTrace, "t0"},
                             {LogLevel::kDebug, "d1"},
                             {LogLevel::kInfo, "i2"},
                             {LogLevel::kWarn, "w3"},
                             {LogLevel::kError, "e4 x"},
                             {LogLevel::kInfo, "{} %v"}});
}

TEST_CASE("a message below the level is not formatted") {
  const Restore restore;
  Messages messages;
  allnorm::set_log_sink(collect(messages));
  allnorm::set_log_level(LogLevel::kError);
  int formatted = 0;
  log::warn("{}", Counted{&formatted});
  CHECK(formatted == 0);
  log::error("{}", Counted{&formatted});
  CHECK(formatted == 1);
  CHECK(messages == Messages{{LogLevel::kError, "1"}});
}

TEST_CASE("off silences errors too") {
  const Restore restore;
  Messages messages;
  allnorm::set_log_sink(collect(messages));
  allnorm::set_log_level(LogLevel::kOff);
  log::error("lost");
  log::write(LogLevel::kOff, "no message has this level");
  CHECK(messages.empty());
}

TEST_CASE("without a sink a message is a line on stderr") {
  const Restore restore;
  allnorm::set_log_level(LogLevel::kInfo);
  CHECK(stderr_of([] { log::info("hello {}", 5); }) == "allnorm [info] hello 5\n");
  CHECK(stderr_of([] { log::debug("hidden"); }).empty());
}

TEST_CASE("an empty sink restores stderr") {
  const Restore restore;
  Messages messages;
  allnorm::set_log_sink(collect(messages));
  CHECK(stderr_of([] { log::error("one"); }).empty());
  allnorm::set_log_sink({});
  CHECK(stderr_of([] { log::error("two"); }) == "allnorm [error] two\n");
  CHECK(messages.size() == 1);
}

TEST_CASE("what a sink or a formatter throws is dropped") {
  const Restore restore;
  const std::string errors = stderr_of([] {
    allnorm::set_log_sink([](LogLevel, std::string_view) { throw std::runtime_error("sink"); });
    log::error("a");
    allnorm::set_log_sink([](LogLevel, std::string_view) { throw 42; });
    log::error("b");
  });
  CHECK(errors.empty());
  Messages messages;
  allnorm::set_log_sink(collect(messages));
  log::error("{}", Unprintable{});
  CHECK(messages.empty());
  log::error("after");
  CHECK(messages.size() == 1);
}

TEST_CASE("what a sink logs itself is dropped, and it cannot replace itself") {
  const Restore restore;
  int calls = 0;
  allnorm::set_log_sink([&](LogLevel, std::string_view) {
    ++calls;
    log::error("again");
    allnorm::set_log_sink({});
  });
  log::error("one");
  CHECK(stderr_of([] { log::error("two"); }).empty());
  CHECK(calls == 2);
}

TEST_CASE("after a sink is replaced no call to it is running") {
  const Restore restore;
  allnorm::set_log_sink([](LogLevel, std::string_view) {});
  std::atomic<bool> stop{false};
  std::atomic<int> late{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) log::error("message");
    });
  }
  for (int round = 0; round < 200; ++round) {
    std::atomic<bool> alive{true};
    allnorm::set_log_sink([&](LogLevel, std::string_view) {
      if (!alive) ++late;
      std::this_thread::yield();
      if (!alive) ++late;
    });
    std::this_thread::yield();
    allnorm::set_log_sink([](LogLevel, std::string_view) {});
    alive = false;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(late == 0);
}

TEST_CASE("levels have the names that the environment uses") {
  CHECK(allnorm::to_string(LogLevel::kTrace) == std::string("trace"));
  CHECK(allnorm::to_string(LogLevel::kOff) == std::string("off"));
  CHECK(allnorm::to_string(static_cast<LogLevel>(77)) == std::string("unknown"));
}
