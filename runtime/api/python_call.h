// A fused call of tensors that are Python objects: what python/allnorm/_known.py makes a function of CPython's.
//
// No header of Python's or DLPack's is needed: CPython's functions, all of its stable ABI, come by address, and so does
// what PyTorch offers as DLPack's exchange API. The tensors are read afresh in each call, and the call checks them as
// any other; nothing here is remembered of them. Not for other programs: it changes with the Python package.
#ifndef ALLNORM_API_PYTHON_CALL_H_
#define ALLNORM_API_PYTHON_CALL_H_

#include <cstddef>
#include <cstdint>

#include "allnorm/allnorm_c.h"

namespace allnorm::c_api {

/// DLPack's DLTensor, as it is in all versions 1.x.
struct DlTensor {
  void* data;
  std::int32_t device_type;
  std::int32_t device_id;
  std::int32_t dimensions;
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
  const std::int64_t* shape;
  const std::int64_t* strides;
  std::uint64_t byte_offset;
};

/// PyLong_AsVoidPtr and so on.
struct PythonApi {
  void* (*long_as_pointer)(void* object);
  void* (*long_from_long)(long value);
  double (*float_as_double)(void* object);
  void* (*error_occurred)();
  void (*error_clear)();
  void* (*type_of)(void* object);  ///< A new reference.
  int (*is_subtype)(void* type, void* of);
  void (*release)(void* object);
  void* (*save_thread)();
  void (*restore_thread)(void* thread);
};

/// CPython's PyMethodDef. The functions made of it look at it until the interpreter has ended, as it collects them: so
/// it is the library's, which is never unloaded.
struct PythonMethod {
  const char* name;
  void* (*function)(void* self, void* const* arguments, std::ptrdiff_t count);
  int flags;
  const char* doc;
};

enum class PythonScale : std::int32_t { kNone, kNumber, kTensor };

struct PythonCall {
  std::size_t struct_size;
  allnorm_workspace* workspace;
  const allnorm_fused_call* like;  ///< Its options are the call's; a tensor is given where it has data.
  void* none;
  void* tensor_type;
  int (*view)(void* object, DlTensor* out);
  int (*current_stream)(std::int32_t device_type, std::int32_t device_id, void** out);
  std::int32_t device;
  PythonScale scale;
};

/// What is no allnorm_status: the objects are not what this can read, or one is given that `like` has not. Nothing was
/// launched and no Python error is set; the checks of the Python package say what is wrong, if anything is.
constexpr std::int32_t kNotKnown = -1;

}  // namespace allnorm::c_api

extern "C" {
/// Before any call. The function it returns is of the method's calling convention METH_FASTCALL. self: a Python int,
/// the address of a PythonCall. arguments: input, residual_in, gamma, output, residual_out, quant_out, scale_out,
/// output_scale; None where there is none. Returns a Python int: an allnorm_status, or kNotKnown. The interpreter's
/// lock is released for the launch, which waits where the GPU's queue is full.
ALLNORM_EXPORT const allnorm::c_api::PythonMethod* allnorm_python_start(const allnorm::c_api::PythonApi* api);
}

#endif  // ALLNORM_API_PYTHON_CALL_H_
