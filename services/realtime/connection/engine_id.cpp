#include "services/realtime/connection/engine_id.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "sesior/base/random.hpp"

namespace sesior::realtime {
namespace {

constexpr std::size_t kHexDigits = 16;  // of one half of the key

void AppendHex(std::string& out, std::uint64_t value) {
  for (int shift = 60; shift >= 0; shift -= 4) out.push_back("0123456789abcdef"[(value >> shift) & 0xf]);
}

template <typename T>
bool ParseAll(std::string_view text, T& value, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

bool IsReplicaName(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

EngineId EngineId::Generate(std::string replica, std::size_t thread) {
  return {std::move(replica), thread, {RandomU64(), RandomU64()}};
}

std::optional<EngineId> EngineId::Parse(std::string_view text) {
  const std::size_t first = text.find('.');
  const std::size_t second = text.find('.', std::min(first, text.size() - 1) + 1);
  if (text.empty() || first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  const std::string_view replica = text.substr(0, first);
  const std::string_view random = text.substr(second + 1);
  EngineId id;
  if (!IsReplicaName(replica) || random.size() != 2 * kHexDigits) return std::nullopt;
  if (!ParseAll(text.substr(first + 1, second - first - 1), id.thread, 10)) return std::nullopt;
  if (!ParseAll(random.substr(0, kHexDigits), id.key[0], 16)) return std::nullopt;
  if (!ParseAll(random.substr(kHexDigits), id.key[1], 16)) return std::nullopt;
  id.replica = replica;
  return id;
}

std::string EngineId::ToText() const {
  std::string text = replica + "." + std::to_string(thread) + ".";
  AppendHex(text, key[0]);
  AppendHex(text, key[1]);
  return text;
}

}  // namespace sesior::realtime
