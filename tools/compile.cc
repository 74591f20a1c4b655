// `allnorm compile`: one Spec to a cubin or a shared object, or to the source that the compiler would be given.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "allnorm/error.h"
#include "env/env.h"
#include "jit/compiler.h"
#include "jit/cubin_info.h"
#include "jit/specialize.h"
#include "output_file.h"
#include "spec_options.h"
#include "text.h"

namespace allnorm::tools {
namespace {

struct Options {
  explicit Options(CLI::App& app) : spec(app) {
    app.add_option("-o,--out", out,
                   "Where to write the cubin, or for host the shared object; without it nothing is written")
        ->type_name("FILE");
    app.add_flag("--source", source, "Print the specialised source instead of compiling it");
    app.add_flag("--json", json, "Print JSON");
  }
  SpecOptions spec;
  std::string out;
  bool source = false;
  bool json = false;
};

std::string describe_geometry(const Geometry& g) {
  return fmt::format("{}x{}x{}", g.ctas_per_row, g.warps_per_cta, g.chunks_per_warp);
}

bool is_for_gpu(const Spec& spec) { return spec.target != Target::kHost; }

/// `compiler`: the version of NVRTC, or for host what the C++ compiler says that it is.
nlohmann::ordered_json to_json(const Spec& spec, const CompiledKernel& kernel, const std::string& compiler,
                               const std::string& out) {
  nlohmann::ordered_json json;
  json["spec"] = describe(spec);
  json["entry"] = kernel.entry_name;
  json["bytes"] = kernel.binary.size();
  json["milliseconds"] = kernel.seconds * 1e3;
  json[is_for_gpu(spec) ? "nvrtc" : "compiler"] = compiler;
  if (is_for_gpu(spec)) {
    const CubinInfo info = read_cubin(kernel.binary);
    json["registers"] = info.registers ? nlohmann::ordered_json(*info.registers) : nullptr;
    json["stack_bytes"] = info.stack_bytes ? nlohmann::ordered_json(*info.stack_bytes) : nullptr;
  }
  json["file"] = out.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(out);
  return json;
}

std::string to_text(const Spec& spec, const CompiledKernel& kernel, const std::string& compiler,
                    const std::string& out) {
  const auto count = [](const std::optional<std::uint32_t>& value, const char* unit) {
    return value ? fmt::format("{}{}", *value, unit) : std::string("unknown");
  };
  TextTable table({{}, {}});
  table.add({"kernel", fmt::format("{} for {}", kernel.entry_name, to_string(spec.target))});
  table.add(
      {"geometry", fmt::format("{} (CTAs a row x warps a CTA x chunks a warp)", describe_geometry(spec.geometry))});
  if (is_for_gpu(spec)) {
    const CubinInfo info = read_cubin(kernel.binary);
    table.add({"registers",
               fmt::format("{} a thread, stack {}", count(info.registers, ""), count(info.stack_bytes, " bytes"))});
  }
  table.add({"size", fmt::format("{} bytes", kernel.binary.size())});
  table.add({"compiled in",
             fmt::format("{:.0f} ms by {}{}", kernel.seconds * 1e3, is_for_gpu(spec) ? "NVRTC " : "", compiler)});
  table.add({"written to", out.empty() ? "nowhere: -o FILE keeps it" : out});
  return table.to_string();
}

int run(const Options& options) {
  const Spec spec = options.spec.spec();
  if (options.source) {
    const std::string source = specialized_source(spec);
    if (!options.json) {
      fmt::print("{}", source);
      return kExitOk;
    }
    const nlohmann::ordered_json json = {
        {"spec", describe(spec)}, {"options", compile_options(spec.target)}, {"source", source}};
    fmt::print("{}\n", json.dump(2));
    return kExitOk;
  }
  // Not through the disk cache: who asks for a compilation wants its time, and the cache left alone.
  Env env = Env::from_process();
  env.cache.mode = cache::Mode::kOff;
  KernelCompiler compiler(env);
  const std::string name = is_for_gpu(spec) ? compiler.nvrtc().version() : compiler.host_compiler().identity();
  const CompiledKernel kernel = compiler.compile(spec);
  if (!options.out.empty()) {
    write_output(options.out, {reinterpret_cast<const char*>(kernel.binary.data()), kernel.binary.size()});
  }
  if (options.json) {
    fmt::print("{}\n", to_json(spec, kernel, name, options.out).dump(2));
  } else {
    fmt::print("{}", to_text(spec, kernel, name, options.out));
  }
  return kExitOk;
}

}  // namespace

Run add_compile(CLI::App& app) {
  const auto options = std::make_shared<Options>(app);
  add_notes(
      app,
      "A kernel depends on nothing but these options: the cubin is the one that a call would load. With --target "
      "host, the C++ compiler of this system makes a shared object (.so) for the simulator.\n\n"
      "Exit codes: 0 compiled; 2 wrong options; 3 NVRTC, or for host the C++ compiler, is missing or rejected the "
      "kernel.\n\n"
      "Examples:\n"
      "  allnorm compile --target sm_100a --hidden 7168 --quant nvfp4 -o kernel.cubin\n"
      "  allnorm compile --world 8 --strategy two_shot --quant fp8 --no-output\n"
      "  allnorm compile --operation all_reduce --dtype f16 --json\n"
      "  allnorm compile --target host --hidden 2880 -o kernel.so\n"
      "  allnorm compile --quant fp8 --geometry 2x7x1 --source");
  return [options] { return run(*options); };
}

}  // namespace allnorm::tools
