// `allnorm warm-worker`: compiles what `allnorm warm` asks it for, until its input ends. Not for people.
#include "warm_worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "dispatch/json_field.h"
#include "dispatch/spec_text.h"

namespace allnorm::tools {
namespace {

using Json = nlohmann::ordered_json;

/// For the kernel at hand, when the parent has died.
constexpr unsigned kLastSeconds = 5;

void end_soon(int) { ::alarm(kLastSeconds); }

/// The input ends with the parent, too; this is for a worker that hangs in a compiler.
void end_with_parent() {
  struct sigaction action{};
  action.sa_handler = end_soon;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/// Answers go where stdout was; what a compiler prints there does not mix with them.
std::FILE* take_stdout() {
  const int answers = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  return answers < 0 ? nullptr : ::fdopen(answers, "w");
}

Json answer(WarmPlace& place, const std::string& line) try {
  const std::string file = "a line";
  const JsonNode tree = parse_json(line, file);
  const MadeKernel made = place.make(parse_spec(JsonField(tree, file)));
  return {{"target", made.entry.target}, {"key", made.entry.key},   {"bytes", made.entry.bytes},
          {"sha256", made.entry.sha256}, {"seconds", made.seconds}, {"compiled", made.compiled}};
} catch (const std::exception& error) {
  return {{"error", error.what()}};
}

int serve(const std::string& output) {
  end_with_parent();
  std::FILE* const answers = take_stdout();
  if (answers == nullptr) return kExitUnavailable;
  WarmPlace place(Env::from_process(), output);
  for (std::string line; std::getline(std::cin, line);) {
    // A compiler's message may be in any encoding.
    const std::string text = answer(place, line).dump(-1, ' ', false, Json::error_handler_t::replace);
    if (std::fprintf(answers, "%s\n", text.c_str()) < 0 || std::fflush(answers) != 0) break;
  }
  std::fclose(answers);
  return kExitOk;
}

}  // namespace

std::vector<std::string> worker_arguments(const WarmPlace& place) {
  if (!place.is_output()) return {"warm-worker"};
  return {"warm-worker", "--output=" + place.directory()};
}

WarmAnswer parse_answer(const Spec& spec, const std::string& line) try {
  const Json json = Json::parse(line);
  if (json.contains("error")) return {json.at("error").get<std::string>(), {}};
  WarmAnswer answer;
  answer.kernel.entry = {json.at("target"), json.at("key"), json.at("bytes"), json.at("sha256"), to_json(spec)};
  answer.kernel.seconds = json.at("seconds");
  answer.kernel.compiled = json.at("compiled");
  return answer;
} catch (const Json::exception& error) {
  return {fmt::format("its worker gave no answer: {}", error.what()), {}};
}

Run add_warm_worker(CLI::App& app) {
  const auto output = std::make_shared<std::string>();
  app.add_option("--output", *output, "As of `allnorm warm`");
  return [output] { return serve(*output); };
}

}  // namespace allnorm::tools
