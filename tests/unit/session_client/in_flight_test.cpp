#include "in_flight.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace sesior::session_client {
namespace {

TEST(InFlight, NothingToWaitFor) {
  InFlight in_flight;
  in_flight.Wait();
  { const InFlight::Token token = in_flight.Take(); }
  in_flight.Wait();
}

TEST(InFlight, WaitsForEveryToken) {
  std::atomic<int> released{0};
  std::vector<std::thread> threads;
  {
    InFlight in_flight;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&released, token = in_flight.Take()]() mutable {
        const InFlight::Token moved = std::move(token);
        ++released;
      });
    }
    in_flight.Wait();
    EXPECT_EQ(released, 8);
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(InFlight, AnAssignedTokenReleasesTheOldOne) {
  InFlight first;
  InFlight second;
  InFlight::Token token = first.Take();
  token = second.Take();
  first.Wait();
  token = InFlight::Token();
  second.Wait();
}

}  // namespace
}  // namespace sesior::session_client
