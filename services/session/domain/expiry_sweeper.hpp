// ExpirySweeper: sees to it that the end of a session by time is noticed although nobody asks for the session. It walks
// the shards for ever, one each `interval` / 64, from a random one on and in an order of its own, so that replicas do
// not meet and no moment has more to do than another; a full batch is followed by the next at once. An end is noticed
// `interval` after its time at the latest, `interval` + `lease` after the death of a replica. Threading: confined to
// the core executor. Errors: none; when the store is away it is asked again an interval later.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <string>

#include "services/session/domain/executor.hpp"
#include "services/session/domain/expiry_store.hpp"

namespace sesior::session {

class ExpirySweeper {
 public:
  struct Options {
    std::chrono::milliseconds interval{500};
    std::chrono::milliseconds lease{1000};
    int batch = 100;
  };
  // `on_sweep` is told of every step that found something. All must outlive the executor's run.
  ExpirySweeper(ExpiryStore& store, Executor& executor, Options options,
                std::function<void(const ExpirySweep&)> on_sweep);

  void Start();

 private:
  void Look();

  ExpiryStore& store_;
  Executor& executor_;
  const Options options_;
  const std::string holder_;
  const std::function<void(const ExpirySweep&)> on_sweep_;
  std::array<int, kExpiryShards> order_;
  std::size_t at_ = 0;
};

}  // namespace sesior::session
