#include "allnorm/context.h"

#include <fmt/format.h>

#include "allnorm/error.h"
#include "api/context_impl.h"
#include "device/cuda/cuda_device.h"
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

}  // namespace

Context::Impl::Impl(const ContextOptions& options)
    : env_(read_environment()),
      options_(options),
      driver_(cuda::Driver::load(env_.driver_path)),
      compiler_(env_, options.cache_directory),
      plans_(compiler_) {
  int count = 0;
  driver_->check(driver_->cuDeviceGetCount(&count), "cuDeviceGetCount");
  devices_.resize(static_cast<std::size_t>(count));
}

Device& Context::Impl::device(int ordinal) {
  if (ordinal < 0 || ordinal >= device_count()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("devices: GPU {} was given; this machine shows {}", ordinal,
                            device_count() == 1 ? "GPU 0 alone" : fmt::format("GPUs 0 to {}", device_count() - 1)));
  }
  const std::lock_guard lock(mutex_);
  auto& device = devices_[static_cast<std::size_t>(ordinal)];
  if (!device) device = std::make_unique<cuda::CudaDevice>(driver_, ordinal);
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
  log::info("tuned table for {}: {}", device_name, found.table ? found.source : "none, the cost model decides");
  return std::move(found.table);
}

Context::Context(const ContextOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Context::~Context() = default;

int Context::device_count() const noexcept { return impl_->device_count(); }

ContextStatistics Context::statistics() const {
  ContextStatistics statistics = impl_->compiler().statistics();
  statistics.loaded = impl_->plans().loaded();
  return statistics;
}

}  // namespace allnorm
