#include "sesior/base/utf8.hpp"

#include <cstddef>

namespace sesior {
namespace {

// Of a sequence by its first byte: the length, the bits that byte gives, the least code point that needs the length.
struct Lead {
  std::size_t length;
  char32_t bits;
  char32_t least;
};

std::optional<Lead> ReadLead(unsigned char byte) {
  if (byte < 0x80) return Lead{1, byte, 0};
  if (byte >= 0xc2 && byte < 0xe0) return Lead{2, byte & 0x1fu, 0x80};
  if (byte >= 0xe0 && byte < 0xf0) return Lead{3, byte & 0x0fu, 0x800};
  if (byte >= 0xf0 && byte < 0xf5) return Lead{4, byte & 0x07u, 0x10000};
  return std::nullopt;
}

}  // namespace

std::optional<char32_t> TakeCodePoint(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const std::optional<Lead> lead = ReadLead(static_cast<unsigned char>(text[0]));
  if (!lead || text.size() < lead->length) return std::nullopt;
  char32_t code_point = lead->bits;
  for (std::size_t i = 1; i < lead->length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0) != 0x80) return std::nullopt;
    code_point = code_point << 6 | (byte & 0x3fu);
  }
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < lead->least || code_point > 0x10ffff || surrogate) return std::nullopt;
  text.remove_prefix(lead->length);
  return code_point;
}

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    if (!TakeCodePoint(text)) return false;
  }
  return true;
}

}  // namespace sesior
