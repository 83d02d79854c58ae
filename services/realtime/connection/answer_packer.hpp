// AnswerPacker: packs large answers of one loop (gzip or deflate), a slice a turn: others are served in between.
//
// Bounds:    kMaxAtOnce answers at a time, 270 KB of zlib's memory each; beyond it an answer goes out as it is, and is
//            counted. A slice of 64 KiB takes less than a millisecond.
// Threading: confined to its loop.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "services/realtime/metrics.hpp"
#include "services/realtime/transport/channel.hpp"
#include "services/realtime/transport/loop.hpp"
#include "sesior/http/response.hpp"

namespace sesior::realtime {

class AnswerPacker {
 public:
  static constexpr std::size_t kThresholdBytes = 1024;  // smaller ones are sent as they are, as the reference does
  static constexpr std::size_t kMaxAtOnce = 16;
  static constexpr std::size_t kSliceBytes = 64 * 1024;

  AnswerPacker(Loop& loop, LoopTallies& tallies) : loop_(loop), tallies_(tallies) {}

  // Answers with this body, packed as exchange->coding says if it is large enough: now, or in a later turn.
  void Answer(const ExchangePtr& exchange, http::Response response, std::string body);

 private:
  struct Job;
  void Run(const std::shared_ptr<Job>& job);

  Loop& loop_;
  LoopTallies& tallies_;
  std::size_t running_ = 0;
};

}  // namespace sesior::realtime
