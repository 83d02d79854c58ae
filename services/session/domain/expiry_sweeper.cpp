#include "services/session/domain/expiry_sweeper.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "sesior/base/ids.hpp"

namespace sesior::session {

ExpirySweeper::ExpirySweeper(ExpiryStore& store, Executor& executor, Options options,
                             std::function<void(const ExpirySweep&)> on_sweep)
    : store_(store), executor_(executor), options_(options), holder_(NewShortId()), on_sweep_(std::move(on_sweep)) {
  std::iota(order_.begin(), order_.end(), 0);
  std::shuffle(order_.begin(), order_.end(), std::minstd_rand(std::random_device{}()));
}

void ExpirySweeper::Start() { Look(); }

void ExpirySweeper::Look() {
  store_.Sweep(order_[at_], holder_, options_.lease, options_.batch, [this](absl::StatusOr<ExpirySweep> swept) {
    std::chrono::milliseconds pause = options_.interval;
    if (swept.ok()) {
      if (swept->seen > 0) on_sweep_(*swept);
      const bool is_full = swept->seen >= options_.batch;
      if (!is_full) at_ = (at_ + 1) % order_.size();
      pause = is_full ? std::chrono::milliseconds(1) : options_.interval / kExpiryShards;
    }
    executor_.After(pause, [this] { Look(); });
  });
}

}  // namespace sesior::session
