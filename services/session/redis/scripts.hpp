// The Lua scripts, embedded at build time from scripts/*.lua, each with common.lua before it.
// Threading: immutable.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace sesior::session::redis {

enum class ScriptId : std::size_t {
  kRead,
  kCreate,
  kUpdate,
  kTouch,
  kDestroy,
  kRegenerate,
  kPublish,
  kHistory,
  kLease,
  kRelease,
  kEnter,
  kLeave,
  kList,
  kSweep,
  kExpire,
  kUserList,
  kUserEnd,
  kRecoverySave,
  kRecoveryTake,
  kCount,
};

// What is kept of a namespace's broadcasts, and no more of it.
struct HistoryLimits {
  std::chrono::milliseconds window{120'000};    // the recovery window; what is older may go
  std::int64_t entries = 100'000;               // 1,000 or more
  std::int64_t bytes = std::int64_t{64} << 20;  // 4 MiB or more
};

struct Script {
  std::string body;
  std::string sha1;  // what EVALSHA wants
};

class ScriptSet {
 public:
  explicit ScriptSet(const HistoryLimits& history = {});
  const Script& Get(ScriptId id) const { return scripts_[static_cast<std::size_t>(id)]; }
  const std::array<Script, static_cast<std::size_t>(ScriptId::kCount)>& all() const { return scripts_; }

 private:
  std::array<Script, static_cast<std::size_t>(ScriptId::kCount)> scripts_;
};

}  // namespace sesior::session::redis
