// The Lua scripts, embedded at build time from scripts/*.lua, each with common.lua before it.
// Threading: immutable.
#pragma once

#include <array>
#include <cstddef>
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
  kLease,
  kRelease,
  kEnter,
  kLeave,
  kList,
  kSweep,
  kExpire,
  kUserList,
  kUserEnd,
  kCount,
};

struct Script {
  std::string body;
  std::string sha1;  // what EVALSHA wants
};

class ScriptSet {
 public:
  ScriptSet();
  const Script& Get(ScriptId id) const { return scripts_[static_cast<std::size_t>(id)]; }
  const std::array<Script, static_cast<std::size_t>(ScriptId::kCount)>& all() const { return scripts_; }

 private:
  std::array<Script, static_cast<std::size_t>(ScriptId::kCount)> scripts_;
};

}  // namespace sesior::session::redis
