// Which replica a key belongs to must not depend on the process that asks: absl::Hash is seeded anew in each.
#pragma once

#include <cstdint>
#include <string_view>

namespace sesior::session_client {

// FNV-1a.
inline std::uint64_t StableHash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

}  // namespace sesior::session_client
