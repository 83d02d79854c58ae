// ExpiryStore: the index of when sessions may end by themselves, in 64 shards. An entry stands at or before the end of
// its session: it is written when we make a session or first see it, and moved on by the sweep alone, however often the
// session is touched, by whomever.
// Threading: confined to the core executor; `done` runs there too, never inside the call.
// Errors: kUnavailable (REDIS_UNAVAILABLE).
#pragma once

#include <chrono>
#include <string>

#include "sesior/base/done.hpp"

namespace sesior::session {

inline constexpr int kExpiryShards = 64;

struct ExpirySweep {
  int seen = 0;                       // entries that were due
  int ended = 0;                      // of them sessions that were over: claims and presence released, watchers told
  std::chrono::milliseconds late{0};  // by how much the one that waited longest was
};

class ExpiryStore {
 public:
  virtual ~ExpiryStore() = default;
  // Looks at up to `batch` due entries of a shard, in one step. One `holder` at a time sweeps a shard: others see
  // nothing until its lease is over. What goes wrong half way is due again after 30 s: an end is told at least once.
  virtual void Sweep(int shard, std::string holder, std::chrono::milliseconds lease, int batch,
                     Done<ExpirySweep> done) = 0;
};

}  // namespace sesior::session
