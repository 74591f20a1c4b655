#include "mutate.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace allnorm::fuzz {
namespace {

constexpr std::size_t kLongestPiece = 64;

/// Of JSON.
constexpr std::array<std::string_view, 24> kPieces = {"{",
                                                      "}",
                                                      "[",
                                                      "]",
                                                      ",",
                                                      ":",
                                                      "\"",
                                                      "\\u0000",
                                                      "\\ud800",
                                                      "null",
                                                      "0",
                                                      "-1",
                                                      "1.5",
                                                      "1e999",
                                                      "1e-400",
                                                      "9223372036854775807",
                                                      "9223372036854775808",
                                                      "{}",
                                                      "\"\"",
                                                      "[[[[[[[[[[[[[[[[[",
                                                      "\xff",
                                                      "\n",
                                                      "true",
                                                      "18446744073709551616"};

constexpr std::array<std::uint64_t, 8> kNumbers = {
    0, 1, 0x7f, 0xff, std::uint64_t{1} << 31, std::uint64_t{1} << 63, UINT64_MAX, UINT64_MAX - 131};

std::string piece_of(std::string_view bytes, Random& random) {
  if (bytes.empty()) return {};
  return std::string(bytes.substr(below(random, bytes.size()), 1 + below(random, kLongestPiece)));
}

void put_number(std::string& bytes, std::size_t at, Random& random) {
  const std::uint64_t number = kNumbers[below(random, kNumbers.size())];
  const std::size_t size = std::size_t{1} << below(random, 4);
  for (std::size_t i = 0; i < size && at + i < bytes.size(); i++) bytes[at + i] = static_cast<char>(number >> (8 * i));
}

void change_digit(std::string& bytes, std::size_t at, Random& random) {
  at = bytes.find_first_of("0123456789", at);
  if (at != bytes.npos) bytes[at] = static_cast<char>('0' + below(random, 10));
}

/// A word of the input becomes a token: most changes of a byte of a word make no word.
void replace_word(std::string& bytes, std::size_t at, const std::string& token) {
  const std::size_t begin = bytes.find('"', at);
  const std::size_t end = begin == bytes.npos ? begin : bytes.find('"', begin + 1);
  if (end != bytes.npos) bytes.replace(begin, end + 1 - begin, token);
}

/// An object is there twice, as one that somebody copied and forgot to change.
void repeat_object(std::string& bytes, std::size_t at) {
  const std::size_t begin = bytes.find('{', at);
  if (begin == bytes.npos) return;
  int depth = 0;
  for (std::size_t end = begin; end < bytes.size(); end++) {
    depth += bytes[end] == '{' ? 1 : bytes[end] == '}' ? -1 : 0;
    if (depth != 0) continue;
    const std::string object = bytes.substr(begin, end + 1 - begin);
    bytes.insert(end + 1, "," + object);
    return;
  }
}

/// A number takes the place of another.
void copy_number(std::string& bytes, std::size_t from, std::size_t to) {
  constexpr const char* kDigits = "0123456789";
  from = bytes.find_first_of(kDigits, from);
  to = bytes.find_first_of(kDigits, to);
  if (from == bytes.npos || to == bytes.npos) return;
  const std::string number = bytes.substr(from, bytes.find_first_not_of(kDigits, from) - from);
  const std::size_t end = std::min(bytes.find_first_not_of(kDigits, to), bytes.size());
  bytes.replace(to, end - to, number);
}

void edit(std::string& bytes, std::span<const std::string> others, std::span<const std::string> tokens,
          Random& random) {
  if (bytes.empty()) bytes = "{";
  const std::size_t at = below(random, bytes.size());
  const std::string& other = others[below(random, others.size())];
  const std::string& token = tokens[below(random, tokens.size())];
  switch (random() % 15) {
    case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(random, 8))); break;
    case 1: bytes[at] = static_cast<char>(random()); break;
    case 2: put_number(bytes, at, random); break;
    case 3:
    case 4: change_digit(bytes, at, random); break;
    case 5: bytes.erase(at, 1 + below(random, kLongestPiece)); break;
    case 6: bytes.insert(at, piece_of(bytes, random)); break;
    case 7: bytes.insert(at, piece_of(other, random)); break;
    case 8: bytes.insert(at, token); break;
    case 9:
    case 10: replace_word(bytes, at, token); break;
    case 11: repeat_object(bytes, at); break;
    case 12: copy_number(bytes, at, below(random, bytes.size())); break;
    case 13: bytes.insert(at, kPieces[below(random, kPieces.size())]); break;
    default:
      if (random() % 4 == 0) bytes.resize(at);
      // The head of one, the tail of another.
      if (random() % 2 == 0 && !other.empty()) bytes += other.substr(below(random, other.size()));
  }
}

}  // namespace

std::string mutate(std::string bytes, std::span<const std::string> others, std::span<const std::string> tokens,
                   Random& random) {
  for (std::size_t edits = 1 + below(random, 1 + below(random, 4)); edits > 0; edits--)
    edit(bytes, others, tokens, random);
  if (bytes.size() > kMaxInputBytes) bytes.resize(kMaxInputBytes);
  return bytes;
}

}  // namespace allnorm::fuzz
