// Reply: what Redis answered, as a view. Valid only inside the callback that gets it. Threading: thread-compatible.
#pragma once

#include <hiredis/hiredis.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "sesior/base/string_view.hpp"

namespace sesior::session::redis {

class Reply {
 public:
  explicit Reply(const redisReply* reply) : reply_(reply) {}

  bool is_error() const { return reply_->type == REDIS_REPLY_ERROR; }
  bool is_array() const { return reply_->type == REDIS_REPLY_ARRAY; }
  // Of an array; 0 for anything else.
  std::size_t size() const { return is_array() ? reply_->elements : 0; }
  // `i` must be below size().
  Reply operator[](std::size_t i) const { return Reply(reply_->element[i]); }
  // Of a string, status or error; empty for anything else, nil included.
  std::string_view text() const {
    switch (reply_->type) {
      case REDIS_REPLY_STRING:
      case REDIS_REPLY_STATUS:
      case REDIS_REPLY_ERROR:
        return {reply_->str, reply_->len};
      default:
        return {};
    }
  }
  // Of an integer, or of a text that is one; 0 for anything else.
  std::int64_t number() const {
    if (reply_->type == REDIS_REPLY_INTEGER) return reply_->integer;
    std::int64_t value = 0;
    return absl::SimpleAtoi(ToAbsl(text()), &value) ? value : 0;
  }

 private:
  const redisReply* reply_;
};

}  // namespace sesior::session::redis
