// What a cubin says about its kernel: registers and stack, from the attributes in its ELF sections.
#ifndef ALLNORM_JIT_CUBIN_INFO_H_
#define ALLNORM_JIT_CUBIN_INFO_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace allnorm {

struct CubinInfo {
  std::optional<std::uint32_t> registers;    ///< A thread.
  std::optional<std::uint32_t> stack_bytes;  ///< A thread; local memory.
};

/// Empty where the bytes are not what we know a cubin to look like. Never reads outside of them.
CubinInfo read_cubin(std::span<const std::byte> binary) noexcept;

}  // namespace allnorm

#endif  // ALLNORM_JIT_CUBIN_INFO_H_
