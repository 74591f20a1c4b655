#include "jit/cubin_info.h"

#include <elf.h>

#include <cstring>

namespace allnorm {
namespace {

// Sections of this type are lists of attributes: a byte of format, a byte that says which, and
// either a 16-bit value or, for kSized, a 16-bit size and so many bytes.
constexpr std::uint32_t kCudaInfo = SHT_LOPROC;
constexpr std::uint8_t kSized = 4;
constexpr std::uint8_t kFrameSize = 0x11;
constexpr std::uint8_t kRegisterCount = 0x2f;

/// Both attributes that we read hold the index of a symbol, then the value.
struct SymbolValue {
  std::uint32_t symbol;
  std::uint32_t value;
};

template <typename T>
bool read(std::span<const std::byte> bytes, std::size_t offset, T& value) noexcept {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return false;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return true;
}

void read_attributes(std::span<const std::byte> section, CubinInfo& info) noexcept {
  struct Header {
    std::uint8_t format;
    std::uint8_t attribute;
    std::uint16_t size;
  } header{};
  for (std::size_t at = 0; read(section, at, header);) {
    at += sizeof(header);
    if (header.format != kSized) continue;
    SymbolValue content{};
    if (header.size == sizeof(content) && read(section, at, content)) {
      if (header.attribute == kRegisterCount) info.registers = content.value;
      if (header.attribute == kFrameSize) info.stack_bytes = content.value;
    }
    at += header.size;
  }
}

}  // namespace

CubinInfo read_cubin(std::span<const std::byte> binary) noexcept {
  CubinInfo info;
  Elf64_Ehdr file{};
  if (!read(binary, 0, file) || std::memcmp(file.e_ident, ELFMAG, SELFMAG) != 0 ||
      file.e_ident[EI_CLASS] != ELFCLASS64 || file.e_shentsize != sizeof(Elf64_Shdr)) {
    return info;
  }
  for (std::size_t s = 0; s < file.e_shnum; ++s) {
    Elf64_Shdr section{};
    if (!read(binary, file.e_shoff + s * sizeof(section), section)) return info;
    if (section.sh_type != kCudaInfo || section.sh_offset > binary.size() ||
        section.sh_size > binary.size() - section.sh_offset) {
      continue;
    }
    read_attributes(binary.subspan(section.sh_offset, section.sh_size), info);
  }
  return info;
}

}  // namespace allnorm
