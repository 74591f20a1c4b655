#include "api/python_call.h"

#include <optional>

namespace allnorm::c_api {
namespace {

constexpr std::int32_t kCuda = 2;  // DLDeviceType
constexpr std::ptrdiff_t kArguments = 8;

PythonApi python;

std::optional<allnorm_data_type> data_type(const DlTensor& view) {
  struct Known {
    std::uint8_t code;
    std::uint8_t bits;
    std::uint16_t lanes;
    allnorm_data_type type;
  };
  static constexpr Known kAll[] = {{4, 16, 1, ALLNORM_BF16}, {10, 8, 1, ALLNORM_E4M3}, {2, 16, 1, ALLNORM_F16},
                                   {2, 32, 1, ALLNORM_F32},  {1, 8, 1, ALLNORM_U8},    {17, 4, 2, ALLNORM_E2M1X2}};
  for (const Known& known : kAll) {
    if (view.code == known.code && view.bits == known.bits && view.lanes == known.lanes) return known.type;
  }
  return std::nullopt;
}

/// Of a dense row-major one, which before DLPack 1.2 may have no strides.
std::optional<std::int64_t> elements(const DlTensor& view) {
  std::int64_t count = 1;
  for (std::int32_t i = view.dimensions - 1; i >= 0; i--) {
    if (view.strides != nullptr && view.shape[i] != 1 && view.strides[i] != count) return std::nullopt;
    count *= view.shape[i];
  }
  return count;
}

/// By its real type: what an object says of its class may be wrong, and PyTorch's view believes it.
bool is_tensor(const PythonCall& call, void* object) {
  void* const type = python.type_of(object);
  const bool is = type != nullptr && python.is_subtype(type, call.tensor_type) != 0;
  if (type != nullptr) python.release(type);
  return is;
}

/// Whether the object is what `to` was: None where that has no data, else a tensor of the call's GPU, which replaces
/// it.
bool read_tensor(const PythonCall& call, void* object, bool matrix, allnorm_tensor& to) {
  if (to.data == nullptr || object == call.none) return to.data == nullptr && object == call.none;
  if (!is_tensor(call, object)) return false;
  DlTensor view{};
  if (call.view(object, &view) != 0 || view.data == nullptr) return false;
  if (view.device_type != kCuda || view.device_id != call.device || (matrix && view.dimensions != 2)) return false;
  const std::optional<allnorm_data_type> type = data_type(view);
  const std::optional<std::int64_t> count = elements(view);
  if (!type || !count) return false;
  to.data = static_cast<std::byte*>(view.data) + view.byte_offset;
  to.rows = matrix ? view.shape[0] : 1;
  to.columns = matrix ? view.shape[1] : *count;
  to.dtype = *type;
  return true;
}

bool read_scale(const PythonCall& call, void* object, allnorm_fused_call& to) {
  if (call.scale == PythonScale::kNone) return object == call.none;
  if (call.scale == PythonScale::kNumber) {
    const double value = python.float_as_double(object);
    if (value == -1.0 && python.error_occurred() != nullptr) return false;
    to.output_scale = static_cast<float>(value);
    return true;
  }
  allnorm_tensor scale{&to, 0, 0, 0};
  if (!read_tensor(call, object, false, scale) || scale.dtype != ALLNORM_F32 || scale.columns < 1) return false;
  to.output_scale_pointer = static_cast<const float*>(scale.data);
  return true;
}

bool read_call(const PythonCall& call, void* const* arguments, allnorm_fused_call& to) {
  const bool scales_are_rows = to.quant == ALLNORM_QUANT_DYNAMIC_FP8 || to.layout == ALLNORM_LINEAR;
  return read_tensor(call, arguments[0], true, to.input) && read_tensor(call, arguments[1], true, to.residual_in) &&
         read_tensor(call, arguments[2], false, to.gamma) && read_tensor(call, arguments[3], true, to.output) &&
         read_tensor(call, arguments[4], true, to.residual_out) &&
         read_tensor(call, arguments[5], true, to.quant_out) &&
         read_tensor(call, arguments[6], scales_are_rows, to.scale_out) && read_scale(call, arguments[7], to);
}

std::int32_t launch(const PythonCall& call, void* const* arguments, std::ptrdiff_t count) {
  if (call.struct_size != sizeof(PythonCall) || count != kArguments) return kNotKnown;
  allnorm_fused_call known = *call.like;
  void* stream = nullptr;
  if (!read_call(call, arguments, known) || call.current_stream(kCuda, call.device, &stream) != 0) {
    python.error_clear();
    return kNotKnown;
  }
  // Another thread may have to launch what makes room in the queue.
  void* const thread = python.save_thread();
  const auto function = known.quant == ALLNORM_QUANT_NONE ? allnorm_fused_allreduce_add_rmsnorm
                                                          : allnorm_fused_allreduce_add_rmsnorm_quant;
  const allnorm_status status = function(call.workspace, &known, stream);
  python.restore_thread(thread);
  return status;
}

void* fused(void* self, void* const* arguments, std::ptrdiff_t count) {
  const auto& call = *static_cast<const PythonCall*>(python.long_as_pointer(self));
  return python.long_from_long(launch(call, arguments, count));
}

constexpr int kMethFastcall = 0x80;
constexpr PythonMethod kMethod = {"fused", fused, kMethFastcall, nullptr};

}  // namespace
}  // namespace allnorm::c_api

const allnorm::c_api::PythonMethod* allnorm_python_start(const allnorm::c_api::PythonApi* api) {
  allnorm::c_api::python = *api;
  return &allnorm::c_api::kMethod;
}
