// SESIOR_CHECK(condition): a bug of ours ends the process, in every build mode, naming file and line.
// Never for input, configuration or the state of another process: those are absl::Status.
#pragma once

namespace sesior::internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace sesior::internal

#define SESIOR_CHECK(condition)                                        \
  do {                                                                 \
    if (!(condition)) {                                                \
      ::sesior::internal::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                                  \
  } while (false)
