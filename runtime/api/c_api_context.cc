// The C ABI: contexts, memory and streams.
#include <sstream>

#include "api/c_api.h"
#include "api/context_impl.h"

namespace allnorm::c_api {
namespace {

// Bytes of the first version of the struct, for ever: members that come later are not required.
constexpr std::size_t kSmallestContextOptions = 24;

constexpr allnorm_context_options kContextDefaults = {
    sizeof(allnorm_context_options), nullptr, nullptr, nullptr, nullptr, nullptr};

std::vector<std::string> split_folders(const std::string& text) {
  std::vector<std::string> folders;
  std::istringstream stream(text);
  for (std::string folder; std::getline(stream, folder, ':');) folders.push_back(folder);
  return folders;
}

Device& device_of(allnorm_context* context, std::int32_t device) {
  require_pointer(context, "context");
  return from_handle(context)->impl().device(device, "device");
}

}  // namespace
}  // namespace allnorm::c_api

using namespace allnorm;
using namespace allnorm::c_api;

allnorm_status allnorm_context_options_init_sized(allnorm_context_options* options, size_t struct_size) {
  return guarded([&] { write_struct(options, struct_size, kSmallestContextOptions, kContextDefaults, "options"); });
}

allnorm_status allnorm_context_create(const allnorm_context_options* options, allnorm_context** context) {
  return guarded([&] {
    require_pointer(context, "context");
    *context = nullptr;
    ContextOptions to;
    if (options != nullptr) {
      const allnorm_context_options from = read_struct(options, kSmallestContextOptions, kContextDefaults, "options");
      if (from.table_path != nullptr) to.table_path = from.table_path;
      if (from.cache_directory != nullptr) to.cache_directory = from.cache_directory;
      if (from.device != nullptr) to.device = from.device;
      if (from.cache_mode != nullptr) to.cache_mode = from.cache_mode;
      if (from.prebuilt_directories != nullptr) to.prebuilt_directories = split_folders(from.prebuilt_directories);
    }
    *context = reinterpret_cast<allnorm_context*>(new Context(to));
  });
}

void allnorm_context_destroy(allnorm_context* context) { delete from_handle(context); }

allnorm_status allnorm_context_device_count(const allnorm_context* context, int32_t* count) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(count, "count");
    *count = from_handle(context)->device_count();
  });
}

allnorm_status allnorm_context_is_simulated(const allnorm_context* context, int32_t* is_simulated) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(is_simulated, "is_simulated");
    *is_simulated = from_handle(context)->is_simulated() ? 1 : 0;
  });
}

allnorm_status allnorm_context_synchronize(allnorm_context* context, int32_t device) {
  return guarded([&] { device_of(context, device).synchronize(); });
}

allnorm_status allnorm_buffer_create(allnorm_context* context, int32_t device, size_t bytes, allnorm_buffer** buffer) {
  return guarded([&] {
    require_pointer(buffer, "buffer");
    *buffer = nullptr;
    require_pointer(context, "context");
    *buffer = reinterpret_cast<allnorm_buffer*>(new Buffer(*from_handle(context), device, bytes));
  });
}

void allnorm_buffer_destroy(allnorm_buffer* buffer) { delete from_handle(buffer); }

allnorm_status allnorm_buffer_data(const allnorm_buffer* buffer, void** data) {
  return guarded([&] {
    require_pointer(buffer, "buffer");
    require_pointer(data, "data");
    *data = from_handle(buffer)->data();
  });
}

allnorm_status allnorm_buffer_write(allnorm_buffer* buffer, size_t offset, const void* from, size_t bytes) {
  return guarded([&] {
    require_pointer(buffer, "buffer");
    from_handle(buffer)->write(from, bytes, offset);
  });
}

allnorm_status allnorm_buffer_read(const allnorm_buffer* buffer, size_t offset, void* to, size_t bytes) {
  return guarded([&] {
    require_pointer(buffer, "buffer");
    from_handle(buffer)->read(to, bytes, offset);
  });
}

allnorm_status allnorm_buffer_fill(allnorm_buffer* buffer, uint8_t byte) {
  return guarded([&] {
    require_pointer(buffer, "buffer");
    from_handle(buffer)->fill(byte);
  });
}

allnorm_status allnorm_stream_create(allnorm_context* context, int32_t device, void** stream) {
  return guarded([&] {
    require_pointer(stream, "stream");
    *stream = nullptr;
    *stream = device_of(context, device).create_stream();
  });
}

allnorm_status allnorm_stream_destroy(allnorm_context* context, int32_t device, void* stream) {
  return guarded([&] {
    Device& of = device_of(context, device);
    if (stream != nullptr) of.destroy_stream(stream);
  });
}

allnorm_status allnorm_stream_synchronize(allnorm_context* context, int32_t device, void* stream) {
  return guarded([&] { device_of(context, device).synchronize(stream); });
}
