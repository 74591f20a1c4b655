#include "warm_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "command.h"
#include "dispatch/names.h"
#include "dispatch/spec_text.h"
#include "text.h"
#include "warm.h"

namespace allnorm::tools {

int WarmReport::exit_code() const {
  if (interrupted) return kExitInterrupted;
  return failed.empty() && left == 0 && problems.empty() ? kExitOk : kExitFailed;
}

std::string WarmReport::to_text() const {
  TextTable table({{}, {'r'}, {}});
  const auto add = [&](const char* name, std::size_t count, const std::string& more) {
    table.add({name, fmt::format("{}", count), more});
  };
  const auto bytes = [](std::int64_t count) { return format_bytes(static_cast<std::uint64_t>(count)); };
  add("made", made, made == 0 ? "" : fmt::format("{}, {:.1f} s of compilers", bytes(made_bytes), compiler_seconds));
  add("already there", there, there == 0 ? "" : bytes(there_bytes));
  add("dropped", dropped, dropped == 0 ? "" : "combinations without a kernel; the first: " + first_dropped);
  add("failed", failed.size(), "");
  if (interrupted) add("left", left, "interrupted; the same command goes on from here");
  std::string text = table.to_string();
  text += fmt::format("{} kernels in {}, {:.1f} s\n", made + there, directory, seconds);
  for (const std::string& path : manifests) text += fmt::format("manifest: {}\n", path);
  for (const auto& [spec, why] : failed) text += fmt::format("\nfailed: {}\n  {}\n", describe(spec), why);
  for (const std::string& problem : problems) text += fmt::format("\nwrong: {}\n", problem);
  return text;
}

std::string WarmReport::to_json() const {
  using Json = nlohmann::ordered_json;
  Json json = {{"directory", directory},
               {"manifests", manifests},
               {"made", made},
               {"already_there", there},
               {"dropped", dropped},
               {"first_dropped", dropped == 0 ? Json(nullptr) : Json(first_dropped)},
               {"left", left},
               {"interrupted", interrupted},
               {"made_bytes", made_bytes},
               {"already_there_bytes", there_bytes},
               {"seconds", seconds},
               {"compiler_seconds", compiler_seconds},
               {"problems", problems},
               {"failed", Json::array()}};
  for (const auto& [spec, why] : failed) {
    json["failed"].push_back({{"spec", Json::parse(allnorm::to_json(spec))}, {"reason", why}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string short_name(const Spec& spec) {
  const Geometry& g = spec.geometry;
  return fmt::format("{} {} {} {}x{} world {} {}x{}x{} {}", to_string(spec.target), to_string(spec.strategy),
                     to_string(spec.quant), to_string(spec.dtype), spec.hidden_dim, spec.world_size, g.ctas_per_row,
                     g.warps_per_cta, g.chunks_per_warp, to_string(spec.pdl));
}

}  // namespace allnorm::tools
