// The call of Python objects, on a simulated GPU, with functions in the place of CPython's and PyTorch's.
#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "api/c_api.h"
#include "api/python_call.h"
#include "catch.h"
#include "simulation.h"

using namespace allnorm;
using namespace allnorm::c_api;
using allnorm::testing::kernel_cache;

namespace {

constexpr std::int64_t kTokens = 3;
constexpr std::int64_t kHidden = 512;

struct Object {
  bool is_tensor = false;
  bool has_view = true;
  bool has_strides = true;
  double number = 0;
  DlTensor view{};
  std::array<std::int64_t, 2> shape{};
  std::array<std::int64_t, 2> strides{};
};

Object& object_of(void* object) { return *static_cast<Object*>(object); }

// What the functions below know and did.
Object none;
int tensor_type = 0;
int other_type = 0;
void* stream = nullptr;
bool has_stream = true;
bool error_is_set = false;
int locks = 1;
int launches = 0;
int references = 0;

int fail() {
  error_is_set = true;
  return -1;
}

int view_of(void* object, DlTensor* out) {
  CHECK(locks == 1);
  REQUIRE(object_of(object).is_tensor);
  if (!object_of(object).has_view) return fail();
  *out = object_of(object).view;
  out->shape = object_of(object).shape.data();
  out->strides = object_of(object).has_strides ? object_of(object).strides.data() : nullptr;
  return 0;
}

int current_stream(std::int32_t device_type, std::int32_t device_id, void** out) {
  if (!has_stream) return fail();
  CHECK(device_type == 2);
  CHECK(device_id == 0);
  *out = stream;
  return 0;
}

void* type_of(void* object) {
  references++;
  return object_of(object).is_tensor ? &tensor_type : &other_type;
}

int is_subtype(void* type, void* of) {
  CHECK(of == &tensor_type);
  return type == of ? 1 : 0;
}

double as_double(void* object) { return object == &none ? fail() : object_of(object).number; }

void* save_thread() {
  locks--;
  launches++;
  return &locks;
}

void restore_thread(void* thread) {
  CHECK(thread == &locks);
  locks++;
}

const PythonApi kPython = {.long_as_pointer = [](void* object) { return object; },
                           .long_from_long = [](long value) { return reinterpret_cast<void*>(value); },
                           .float_as_double = as_double,
                           .error_occurred = []() -> void* { return error_is_set ? &error_is_set : nullptr; },
                           .error_clear = [] { error_is_set = false; },
                           .type_of = type_of,
                           .is_subtype = is_subtype,
                           .release = [](void*) { references--; },
                           .save_thread = save_thread,
                           .restore_thread = restore_thread};

Object tensor(void* data, std::uint8_t code, std::uint8_t bits, std::int64_t rows, std::int64_t columns) {
  Object object{.is_tensor = true, .shape = {rows, columns}, .strides = {columns, 1}};
  object.view = {data, 2, 0, 2, code, bits, 1, nullptr, nullptr, 0};
  return object;
}

/// Rows of ones on the only rank, with a row of twos after them, and their call, which is known.
class Call {
 public:
  Call()
      : context_({.cache_directory = kernel_cache(), .device = "sim:1"}),
        world_(context_, {.devices = {0}, .max_row_bytes = kHidden * 4, .max_tokens_one_shot = kTokens}),
        stream_(context_, 0),
        rows_(context_, 0, (kTokens + 1) * kHidden * 4),
        codes_(context_, 0, kTokens * kHidden),
        scale_(context_, 0, 4) {
    std::vector<float> values(kTokens * kHidden, 1.0F);
    values.resize(values.size() + kHidden, 2.0F);
    rows_.write(values.data(), rows_.bytes());
    const float half = 0.5F;
    scale_.write(&half, 4);
    input = residual_in = tensor(rows_.data(), 2, 32, kTokens, kHidden);
    gamma = tensor(rows_.data(), 2, 32, 1, kHidden);
    codes = tensor(codes_.data(), 10, 8, kTokens, kHidden);
    scale = tensor(scale_.data(), 2, 32, 1, 1);
    number.number = 1;
    arguments = {&input, &residual_in, &gamma, &none, &none, &codes, &none, &number};

    REQUIRE(allnorm_fused_call_init(&like_) == ALLNORM_OK);
    like_.quant = ALLNORM_QUANT_FP8;
    for (allnorm_tensor* given : {&like_.input, &like_.residual_in, &like_.gamma, &like_.quant_out}) given->data = this;
    known = {.struct_size = sizeof(PythonCall),
             .workspace = reinterpret_cast<allnorm_workspace*>(&world_.rank(0)),
             .like = &like_,
             .none = &none,
             .tensor_type = &tensor_type,
             .view = view_of,
             .current_stream = current_stream,
             .device = 0,
             .scale = PythonScale::kNumber};
    stream = stream_.get();
    has_stream = true;
    launches = 0;
    function_ = allnorm_python_start(&kPython)->function;
  }

  std::int64_t run(std::ptrdiff_t count = 8) {
    codes_.fill(0xA5);
    void* const status = function_(&known, arguments.data(), count);
    stream_.synchronize();
    CHECK(locks == 1);
    CHECK(references == 0);
    CHECK_FALSE(error_is_set);
    return reinterpret_cast<std::int64_t>(status);
  }

  /// The code that all elements have, or -1.
  int code() const {
    std::vector<std::uint8_t> all(kTokens * kHidden);
    codes_.read(all.data(), all.size());
    return all == std::vector<std::uint8_t>(all.size(), all[0]) ? all[0] : -1;
  }

  Object input, residual_in, gamma, codes, scale, number;
  std::array<void*, 8> arguments{};
  PythonCall known{};

 private:
  Context context_;
  World world_;
  OwnedStream stream_;
  Buffer rows_, codes_, scale_;
  allnorm_fused_call like_{};
  decltype(PythonMethod::function) function_ = nullptr;
};

constexpr int kOne = 0x38;  // of e4m3
constexpr int kTwo = 0x40;

}  // namespace

TEST_CASE("Python: a call of objects reads them afresh each time", "[simulator]") {
  Call call;
  CHECK(call.run() == ALLNORM_OK);
  CHECK(call.code() == kOne);
  CHECK(launches == 1);

  call.number.number = 0.5;  // FP8 divides by it
  CHECK(call.run() == ALLNORM_OK);
  CHECK(call.code() == kTwo);

  call.gamma.view.byte_offset = kTokens * kHidden * 4;
  call.number.number = 1;
  CHECK(call.run() == ALLNORM_OK);
  CHECK(call.code() == kTwo);

  // Of fewer rows, with a stride that nothing depends on, and of a vector.
  for (Object* object : {&call.input, &call.residual_in, &call.codes}) object->shape[0] = 1;
  call.input.strides[0] = 7;
  call.gamma.view.dimensions = 1;
  call.gamma.shape = {kHidden, 0};
  call.gamma.strides = {1, 0};
  CHECK(call.run() == ALLNORM_OK);
  CHECK(call.code() == -1);  // the other rows are as they were
}

TEST_CASE("Python: a tensor without strides is dense", "[simulator]") {
  Call call;
  call.input.has_strides = call.codes.has_strides = false;
  CHECK(call.run() == ALLNORM_OK);
  CHECK(call.code() == kOne);
}

TEST_CASE("Python: a scale may be a tensor, or none", "[simulator]") {
  Call call;
  allnorm_fused_call like = *call.known.like;
  call.known.like = &like;
  call.known.scale = PythonScale::kTensor;
  call.arguments[7] = &call.scale;
  CHECK(call.run() == ALLNORM_OK);
  CHECK(call.code() == kTwo);
  call.scale.view.bits = 16;
  CHECK(call.run() == kNotKnown);

  call.known.scale = PythonScale::kNone;
  CHECK(call.run() == kNotKnown);
  call.arguments[7] = &none;
  CHECK(call.run() == ALLNORM_OK);
  CHECK(call.code() == kOne);
}

TEST_CASE("Python: what cannot be read, or was not expected, is not launched", "[simulator]") {
  const std::vector<std::pair<const char*, std::function<void(Call&)>>> changes = {
      {"no tensor", [](Call& call) { call.input.is_tensor = false; }},
      {"no view", [](Call& call) { call.gamma.has_view = false; }},
      {"no memory", [](Call& call) { call.codes.view.data = nullptr; }},
      {"None in place of a tensor", [](Call& call) { call.arguments[1] = &none; }},
      {"a tensor in place of None", [](Call& call) { call.arguments[3] = &call.input; }},
      {"the host", [](Call& call) { call.input.view.device_type = 1; }},
      {"another GPU", [](Call& call) { call.input.view.device_id = 1; }},
      {"one dimension",
       [](Call& call) {
         call.input.view.dimensions = 1;
         call.input.shape[0] = kHidden;
         call.input.strides[0] = 1;
       }},
      {"another type", [](Call& call) { call.input.view.code = 0; }},
      {"vectors", [](Call& call) { call.input.view.lanes = 2; }},
      {"columns apart", [](Call& call) { call.input.strides = {2 * kHidden, 2}; }},
      {"rows apart", [](Call& call) { call.residual_in.strides[0] = kHidden + 1; }},
      {"no number", [](Call& call) { call.arguments[7] = &none; }},
      {"no stream", [](Call&) { has_stream = false; }},
      {"another version's struct", [](Call& call) { call.known.struct_size -= 8; }},
  };
  for (const auto& [name, change] : changes) {
    INFO(name);
    Call call;
    change(call);
    CHECK(call.run() == kNotKnown);
    CHECK(launches == 0);
    CHECK(call.code() == 0xA5);
  }
  Call call;
  CHECK(call.run(7) == kNotKnown);
}

TEST_CASE("Python: what the call refuses is refused as in C", "[simulator]") {
  Call call;
  call.residual_in.shape[0] = 2;
  CHECK(call.run() == ALLNORM_INVALID_ARGUMENT);
  CHECK(call.code() == 0xA5);
  CHECK(std::string(allnorm_last_error_message()).starts_with("residual_in"));
}
