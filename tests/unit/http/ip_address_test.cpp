#include "sesior/http/ip_address.hpp"

#include <gtest/gtest.h>

namespace sesior::http {
namespace {

TEST(IpAddress, ReadsAndWritesBothKinds) {
  for (const char* text : {"10.1.2.3", "255.255.255.255", "::1", "2001:db8::7"}) {
    const std::optional<IpAddress> address = IpAddress::Parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->ToText(), text);
  }
  EXPECT_EQ(IpAddress::Parse("::ffff:10.1.2.3"), IpAddress::Parse("10.1.2.3"));
  for (const char* text : {"", "x", "10.0.0", "10.0.0.1:80", "[::1]", "fe80::1%eth0", "256.0.0.1"}) {
    EXPECT_FALSE(IpAddress::Parse(text)) << text;
  }
}

TEST(IpAddress, CountsAHouseholdOfIpv6AsOne) {
  EXPECT_EQ(IpAddress::Parse("2001:db8:1:2:3::4")->Household(), IpAddress::Parse("2001:db8:1:2::"));
  EXPECT_EQ(IpAddress::Parse("10.1.2.3")->Household(), IpAddress::Parse("10.1.2.3"));
}

}  // namespace
}  // namespace sesior::http
