// EngineId: the id of an Engine.IO session, "<replica>.<thread>.<128 random bits>": it says where the session lives, so
// that any replica and thread can pass a request on, and is a secret of its client: whoever holds it can post.
// Immutable values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sesior::realtime {

struct EngineId {
  using Key = std::array<std::uint64_t, 2>;  // the random part

  std::string replica;
  std::size_t thread = 0;
  Key key{};

  static EngineId Generate(std::string replica, std::size_t thread);
  // nullopt: no id that we could have made.
  static std::optional<EngineId> Parse(std::string_view text);
  std::string ToText() const;
};

// 1 to 64 of [A-Za-z0-9_-], as it stands in ids and logs.
bool IsReplicaName(std::string_view text);

}  // namespace sesior::realtime
