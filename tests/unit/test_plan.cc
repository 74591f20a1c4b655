// PlanStore: a kept kernel that does not load is compiled again.
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "cache/manifest.h"
#include "cache/sha256.h"
#include "cache/store.h"
#include "cache_fixture.h"
#include "catch.h"
#include "error_of.h"
#include "host_kernel.h"
#include "jit/plan.h"

using namespace allnorm;
using allnorm::cache::test::Folder;
using allnorm::testing::error_of;
using allnorm::testing::host_env;
using allnorm::testing::host_spec;
using allnorm::testing::with_cache;

namespace {

struct FakeKernel : LoadedKernel {
  unsigned max_resident_clusters() const noexcept override { return 1; }
  void launch(unsigned /*clusters*/, void* /*params*/, Stream /*stream*/) const override {}
};

/// Loads what is as long as a kernel.
class FakeDevice : public Device {
 public:
  int loads = 0;
  ErrorCode refusal = ErrorCode::kDriver;

  int ordinal() const noexcept override { return 0; }
  const std::string& name() const noexcept override { return name_; }
  Target target() const noexcept override { return Target::kHost; }
  int multiprocessors() const noexcept override { return 1; }
  std::unique_ptr<LoadedKernel> load(std::span<const std::byte> binary, const std::string& /*kernel_name*/,
                                     const LaunchShape& /*shape*/) override {
    loads++;
    if (binary.size() < 100) throw Error(refusal, "too short");
    return std::make_unique<FakeKernel>();
  }
  std::unique_ptr<DeviceMemory> allocate_symmetric(std::size_t /*bytes*/, std::span<Device* const> /*peers*/) override {
    return nullptr;
  }
  std::unique_ptr<DeviceMemory> allocate(std::size_t /*bytes*/) override { return nullptr; }
  const std::string& identity() const noexcept override { return name_; }
  std::unique_ptr<DeviceMemory> allocate_shareable(std::size_t /*bytes*/, MemoryHandle::Kind /*kind*/) override {
    return nullptr;
  }
  void release_pages(DeviceMemory& /*memory*/) override {}
  void renew_pages(DeviceMemory& /*memory*/) override {}
  void renew_pages(DeviceMemory& /*memory*/, const MemoryHandle& /*handle*/) override {}
  MemoryHandle export_memory(const DeviceMemory& /*memory*/, MemoryHandle::Kind /*kind*/) override { return {}; }
  std::unique_ptr<DeviceMemory> import_memory(const MemoryHandle& /*handle*/, std::size_t /*bytes*/) override {
    return nullptr;
  }
  std::unique_ptr<Multicast> create_multicast(std::span<Device* const> /*here*/, std::size_t /*bytes*/, int /*ranks*/,
                                              std::optional<MemoryHandle::Kind> /*kind*/) override {
    return nullptr;
  }
  std::unique_ptr<Multicast> import_multicast(const MemoryHandle& /*handle*/, std::size_t /*bytes*/,
                                              int /*ranks*/) override {
    return nullptr;
  }
  void fill_words(void* /*to*/, std::uint32_t /*word*/, std::size_t /*bytes*/) override {}
  void copy_to_device(void* /*to*/, const void* /*from*/, std::size_t /*bytes*/) override {}
  void copy_to_host(void* /*to*/, const void* /*from*/, std::size_t /*bytes*/) override {}
  void synchronize() override {}
  Stream create_stream() override { return nullptr; }
  void destroy_stream(Stream /*stream*/) noexcept override {}
  void synchronize(Stream /*stream*/) override {}
  void check_stream(Stream /*stream*/, bool /*non_blocking*/) const override {}
  bool is_capturing(Stream /*stream*/) const override { return false; }
  AddressRange range_of(const void* /*address*/) const override { return {}; }

 private:
  std::string name_ = "fake";
};

const std::vector<std::byte> kShort(10, std::byte{7});

/// Puts a kernel that does not load in the place of a Spec's.
void spoil(KernelCompiler& compiler, const Spec& spec) {
  const std::string key = compiler.key(spec).hex;
  std::string reason;
  REQUIRE(compiler.cache().store()->put("host", {key, "allnorm_one_shot", "{}", "short"}, reason));
}

}  // namespace

TEST_CASE("a kernel of the cache that does not load is compiled again and replaced") {
  const Folder folder;
  KernelCompiler compiler(with_cache(host_env(), folder / "cache"));
  spoil(compiler, host_spec());
  FakeDevice device;
  PlanStore plans(compiler);
  CHECK(plans.get(device, host_spec()).kernel != nullptr);
  CHECK(device.loads == 2);
  CHECK(compiler.statistics().compiled == 1);
  CHECK(compiler.compile(host_spec()).binary.size() > 1000);
}

TEST_CASE("a prebuilt kernel that does not load is compiled") {
  KernelCompiler compiler(host_env());
  const std::string key = compiler.prebuilt_key(host_spec());
  const PrebuiltKernel kernel{key, "allnorm_one_shot", kShort};
  compiler.add_prebuilt({&kernel, 1});
  FakeDevice device;
  PlanStore plans(compiler);
  CHECK(plans.get(device, host_spec()).kernel != nullptr);
  CHECK(device.loads == 2);
}

TEST_CASE("after a prebuilt kernel that does not load comes the one of the next directory") {
  const Folder folder;
  KernelCompiler good(host_env());
  const cache::Entry entry = good.prebuilt_entry(host_spec(), good.compile(host_spec()));
  cache::Entry bad = entry;
  bad.payload = "short";
  Env env = host_env();
  env.cache.mode = cache::Mode::kRequireHit;
  env.cxx_path = "/nonexistent/c++";
  for (const auto& [name, one] : {std::pair{"first", bad}, std::pair{"second", entry}}) {
    const std::string directory = folder / name;
    std::string reason;
    REQUIRE(cache::Store(directory).put("host", one, reason));
    const std::string bytes = cache::encode(one);
    const cache::Manifest manifest{
        "0.1.0",
        {{"host", one.key, static_cast<std::int64_t>(bytes.size()), cache::to_hex(cache::sha256(bytes)), "{}"}}};
    std::ofstream(directory + "/manifest.json") << cache::to_json(manifest);
    env.cache.prebuilt_directories.push_back(directory);
  }
  KernelCompiler compiler(env);
  FakeDevice device;
  PlanStore plans(compiler);
  CHECK(plans.get(device, host_spec()).kernel != nullptr);
  CHECK(device.loads == 2);
}

TEST_CASE("after a prebuilt kernel that does not load comes the one of the user's cache") {
  const Folder folder;
  const Env env = with_cache(host_env(), folder / "cache");
  KernelCompiler(env).compile(host_spec());
  KernelCompiler compiler(env);
  const std::string key = compiler.prebuilt_key(host_spec());
  const PrebuiltKernel kernel{key, "allnorm_one_shot", kShort};
  compiler.add_prebuilt({&kernel, 1});
  FakeDevice device;
  PlanStore plans(compiler);
  CHECK(plans.get(device, host_spec()).kernel != nullptr);
  CHECK(device.loads == 2);
  CHECK(compiler.statistics().compiled == 0);
}

TEST_CASE("in mode require-hit a kernel that does not load is an error, which says so") {
  const Folder folder;
  Env env = with_cache(host_env(), folder / "cache");
  spoil(*std::make_unique<KernelCompiler>(env), host_spec());
  env.cache.mode = cache::Mode::kRequireHit;
  KernelCompiler compiler(env);
  FakeDevice device;
  PlanStore plans(compiler);
  const std::string message = error_of(ErrorCode::kCacheMiss, [&] { plans.get(device, host_spec()); });
  CHECK(message.find("does not load (too short)") != std::string::npos);
}

TEST_CASE("devices of one target share a compiled kernel, and each loads it") {
  KernelCompiler compiler(host_env());
  PlanStore plans(compiler);
  FakeDevice first;
  FakeDevice second;
  CHECK(&plans.get(first, host_spec()) != &plans.get(second, host_spec()));
  CHECK(&plans.get(first, host_spec()) == &plans.get(first, host_spec()));
  CHECK(first.loads == 1);
  CHECK(second.loads == 1);
  CHECK(compiler.statistics().compiled == 1);
}

TEST_CASE("another failure to load is not mended by compiling") {
  const Folder folder;
  KernelCompiler compiler(with_cache(host_env(), folder / "cache"));
  spoil(compiler, host_spec());
  FakeDevice device;
  device.refusal = ErrorCode::kUnsupported;
  PlanStore plans(compiler);
  CHECK(error_of(ErrorCode::kUnsupported, [&] { plans.get(device, host_spec()); }) == "too short");
  CHECK(compiler.statistics().compiled == 0);
}
