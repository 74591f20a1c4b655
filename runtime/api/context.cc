#include "allnorm/context.h"

#include <fmt/format.h>

#include "allnorm/error.h"
#include "api/context_impl.h"
#include "device/cuda/cuda_device.h"
#include "device/sim/sim_device.h"
#include "dispatch/table_search.h"
#include "env/log.h"

namespace allnorm {

namespace {

/// Sets the log level before anything logs.
Env read_environment() {
  Env env = Env::from_process();
  log::set_environment_level(env.log_level);
  return env;
}

void check_absolute(const char* argument, const std::string& path) {
  if (!path.empty() && path.front() == '/') return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("ContextOptions::{}: \"{}\" was given; an absolute path is needed", argument, path));
}

/// The environment, but where the program says otherwise.
Env with_options(Env env, const ContextOptions& options) {
  if (!options.cache_mode.empty()) {
    const std::optional<cache::Mode> mode = Env::parse_cache_mode(options.cache_mode);
    if (!mode) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("ContextOptions::cache_mode: \"{}\" was given; allowed: {}",
                                                           options.cache_mode, Env::kCacheModes));
    }
    env.cache.mode = *mode;
  }
  if (!options.cache_directory.empty()) {
    check_absolute("cache_directory", options.cache_directory);
    env.cache.directory = options.cache_directory;
  }
  for (const std::string& directory : options.prebuilt_directories) check_absolute("prebuilt_directories", directory);
  env.cache.prebuilt_directories.insert(env.cache.prebuilt_directories.begin(), options.prebuilt_directories.begin(),
                                        options.prebuilt_directories.end());
  return env;
}

DeviceChoice choose_device(const std::string& option, const Env& env) {
  if (option.empty()) return env.device;
  const std::optional<DeviceChoice> choice = parse_device_choice(option);
  if (!choice) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("device: \"{}\" was given; {} is allowed, or nothing for $ALLNORM_DEVICE", option, kDeviceChoices));
  }
  return *choice;
}

}  // namespace

Context::Impl::Impl(const ContextOptions& options)
    : env_(with_options(read_environment(), options)), options_(options), compiler_(env_), plans_(compiler_) {
  open(choose_device(options.device, env_));
}

Context::Impl::Impl(const ContextOptions& options, const Env& env, const sim::MachineOptions& machine)
    : env_(with_options(env, options)), options_(options), compiler_(env_), plans_(compiler_) {
  open_simulator(machine);
}

void Context::Impl::open(const DeviceChoice& choice) {
  switch (choice.kind) {
    case DeviceChoice::Kind::kCuda: return open_cuda();
    case DeviceChoice::Kind::kSimulator: return open_simulator({.devices = choice.simulated_gpus});
    case DeviceChoice::Kind::kAutomatic: break;
  }
  try {
    open_cuda();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kDriver) throw;
    open_simulator({.devices = choice.simulated_gpus});
    log::warn(
        "no GPU can be used, so {} simulated ones on the CPU stand in for it: for trying out and testing, and slow; "
        "ALLNORM_DEVICE=cuda makes this an error. The reason: {}",
        device_count(), error.what());
  }
}

void Context::Impl::open_cuda() {
  auto driver = cuda::Driver::load(env_.driver_path);
  int count = 0;
  driver->check(driver->cuDeviceGetCount(&count), "cuDeviceGetCount");
  if (count == 0) {
    throw Error(ErrorCode::kDriver, "the CUDA driver shows no GPU; look at CUDA_VISIBLE_DEVICES and nvidia-smi");
  }
  driver_ = std::move(driver);
  devices_.resize(static_cast<std::size_t>(count));
}

void Context::Impl::open_simulator(const sim::MachineOptions& machine) {
  machine_ = std::make_shared<sim::Machine>(machine);
  devices_.resize(static_cast<std::size_t>(machine.devices));
}

std::unique_ptr<Device> Context::Impl::make_device(int ordinal) const {
  if (machine_) return std::make_unique<sim::SimDevice>(machine_, ordinal, env_.temporary_dir);
  return std::make_unique<cuda::CudaDevice>(driver_, ordinal);
}

Device& Context::Impl::device(int ordinal, const char* argument) {
  if (ordinal < 0 || ordinal >= device_count()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: GPU {} was given; {} {}", argument, ordinal,
                            machine_ ? "this simulator has" : "this machine shows",
                            device_count() == 1 ? "GPU 0 alone" : fmt::format("GPUs 0 to {}", device_count() - 1)));
  }
  const std::lock_guard lock(mutex_);
  auto& device = devices_[static_cast<std::size_t>(ordinal)];
  if (!device) device = make_device(ordinal);
  return *device;
}

std::optional<Table> Context::Impl::table_for(const std::string& device_name) const {
  TablePlaces places;
  places.option_path = options_.table_path;
  places.environment_path = env_.table_path;
  if (!env_.config_dir.empty()) places.user_folder = env_.config_dir + "/tables";
  places.embedded = embedded_tuned_tables();
  FoundTable found = find_table(places, device_name, compiler_.sources().digest());
  for (const std::string& warning : found.warnings) log::warn("{}", warning);
  for (const std::string& note : found.notes) log::debug("{}", note);
  log::info("tuned table for {}: {}", device_name, found.table ? found.source() : "none, the cost model decides");
  return std::move(found.table);
}

Context::Context(const ContextOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Context::Context(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Context::~Context() = default;

int Context::device_count() const noexcept { return impl_->device_count(); }
bool Context::is_simulated() const noexcept { return impl_->machine() != nullptr; }
void Context::synchronize(int device) { impl_->device(device, "device").synchronize(); }

ContextStatistics Context::statistics() const {
  ContextStatistics statistics = impl_->compiler().statistics();
  statistics.loaded = impl_->plans().loaded();
  return statistics;
}

}  // namespace allnorm
