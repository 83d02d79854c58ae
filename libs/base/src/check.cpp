#include "sesior/base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace sesior::internal {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "event=check_failed file=%s line=%d condition=\"%s\"\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace sesior::internal
