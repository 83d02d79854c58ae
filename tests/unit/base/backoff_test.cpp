#include "sesior/base/backoff.hpp"

#include "gtest/gtest.h"

namespace sesior {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, StaysBelowACapThatDoublesUpToTheMaximum) {
  for (std::uint64_t seed = 1; seed < 200; ++seed) {
    Backoff backoff({.initial = milliseconds(10), .max = milliseconds(35), .seed = seed});
    for (milliseconds cap : {milliseconds(10), milliseconds(20), milliseconds(35), milliseconds(35)}) {
      const milliseconds wait = backoff.Next();
      EXPECT_GE(wait, milliseconds(1));
      EXPECT_LE(wait, cap);
    }
  }
}

TEST(Backoff, StartsShortAgainAfterReset) {
  Backoff backoff({.initial = milliseconds(4), .max = milliseconds(100000), .seed = 7});
  for (int i = 0; i < 20; ++i) backoff.Next();
  backoff.Reset();
  EXPECT_LE(backoff.Next(), milliseconds(4));
}

TEST(Backoff, DiffersBetweenProcesses) {
  Backoff a({.initial = milliseconds(1000000), .max = milliseconds(1000000)});
  Backoff b({.initial = milliseconds(1000000), .max = milliseconds(1000000)});
  EXPECT_NE(std::make_pair(a.Next(), a.Next()), std::make_pair(b.Next(), b.Next()));
}

}  // namespace
}  // namespace sesior
