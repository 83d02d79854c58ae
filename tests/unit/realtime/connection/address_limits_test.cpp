#include "services/realtime/connection/address_limits.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sesior::realtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = AddressLimits::Verdict;

http::IpAddress Address(const std::string& text) { return *http::IpAddress::Parse(text); }

const AddressLimits::Time kNow{seconds(1'000'000)};
const http::IpAddress kAnn = Address("192.0.2.1");
const http::IpAddress kBob = Address("192.0.2.2");

TEST(AddressLimits, AdmitsEverybodyWithoutLimits) {
  AddressLimits limits({});
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(limits.Admit(kAnn, kNow), Verdict::kAdmitted);
  EXPECT_EQ(limits.entries(), 0U);
  limits.Release(kAnn);
}

TEST(AddressLimits, CountsTheClientsOfAnAddress) {
  AddressLimits limits({.max_clients = 2});
  EXPECT_EQ(limits.Admit(kAnn, kNow), Verdict::kAdmitted);
  EXPECT_EQ(limits.Admit(kAnn, kNow), Verdict::kAdmitted);
  EXPECT_EQ(limits.Admit(kAnn, kNow), Verdict::kTooMany);
  EXPECT_EQ(limits.Admit(kBob, kNow), Verdict::kAdmitted);
  limits.Release(kAnn);
  EXPECT_EQ(limits.Admit(kAnn, kNow), Verdict::kAdmitted);
  limits.Release(kAnn);
  limits.Release(kAnn);
  limits.Release(kBob);
  EXPECT_EQ(limits.entries(), 0U);
}

TEST(AddressLimits, TakesANetworkOfIpv6ForOne) {
  AddressLimits limits({.max_clients = 1});
  EXPECT_EQ(limits.Admit(Address("2001:db8::1"), kNow), Verdict::kAdmitted);
  EXPECT_EQ(limits.Admit(Address("2001:db8::ffff:2"), kNow), Verdict::kTooMany);
  EXPECT_EQ(limits.Admit(Address("2001:db8:0:1::1"), kNow), Verdict::kAdmitted);
}

TEST(AddressLimits, AllowsABurstAndThenSoManyASecond) {
  AddressLimits limits({.handshakes_per_second = 2});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limits.Admit(kAnn, kNow), Verdict::kAdmitted);
  EXPECT_EQ(limits.Admit(kAnn, kNow), Verdict::kTooFast);
  EXPECT_EQ(limits.Admit(kBob, kNow), Verdict::kAdmitted);
  EXPECT_EQ(limits.Admit(kAnn, kNow + milliseconds(400)), Verdict::kTooFast);  // a refusal costs nothing
  EXPECT_EQ(limits.Admit(kAnn, kNow + milliseconds(600)), Verdict::kAdmitted);
  EXPECT_EQ(limits.Admit(kAnn, kNow + milliseconds(600)), Verdict::kTooFast);
}

TEST(AddressLimits, ForgetsAddressesInTime) {
  AddressLimits limits({.handshakes_per_second = 1});
  AddressLimits::Time now = kNow;
  for (int i = 0; i < 20'000; ++i) {
    const http::IpAddress address = Address("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256));
    EXPECT_EQ(limits.Admit(address, now), Verdict::kAdmitted);
    limits.Release(address);
    now += milliseconds(10);
  }
  EXPECT_LE(limits.entries(), 1'100U);
}

}  // namespace
}  // namespace sesior::realtime
